"""Several LoRA runs of one base model in one worker: which it claims (`claims`), and their training (`training`)."""
