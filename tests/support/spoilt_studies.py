"""What users get wrong in study.toml: name -> how it is spoilt, and what is said."""

from __future__ import annotations

from spoil import Spoil, append, both, data, remove, text

MIXTURE = '\n[mixtures.m]\ncomponents = [{ corpus = "train", %s }]\npairing = "shared"\n'
FAMILY = '\n[families.f]\ncorpora = ["train"]\npairing = "shared"\n'
EN = 'components = [{ corpus = "train", shares = { en = 1.0 } }]'

# name: (what is spoilt, what the messages must say; a tuple for several at once)

STUDIES: dict[str, tuple[Spoil, str | tuple[str, ...]]] = {
    "toml_syntax": (text("data_seed = 7", "data_seed 7"), "study.toml, line 3, column 11: is not TOML: "),
    "toml_unclosed": (append("x = ["), "study.toml, at the end of the file: is not TOML: "),
    "toml_key_twice": (text("data_seed = 7", "data_seed = 7\ndata_seed = 8"), "line 4, column"),
    "not_utf8": (data("study.toml", 'name = "Größe"'.encode("latin-1")), "study.toml, line 1: is not UTF-8."),
    "empty_study": (data("study.toml", b""), ("'name' is missing", "[models.<name>]", "[training]")),
    "no_study": (remove("study.toml"), "study.toml does not exist. Write one with: crosslift new"),
    "unknown_key": (
        text("max_items = 6", "max_item = 6"),
        "study.toml, corpora.train: unknown key 'max_item'. Did you mean 'max_items'?",
    ),
    "unknown_key_with_a_bracket": (
        text("epochs = 2", 'epochs = 2\n"lo[r" = 3'),
        "study.toml, training: unknown key 'lo[r'.",
    ),
    "unknown_table": (append("\n[trainng]\nepochs = 3\n"), "unknown key 'trainng'. Did you mean 'training'?"),
    "unknown_training_key": (
        text("learning_rate = 1e-3", "learnin_rate = 1e-3"),
        ("training: unknown key 'learnin_rate'. Did you mean 'learning_rate'?", "'learning_rate' is missing"),
    ),
    "wrong_type": (
        text("learning_rate = 1e-3", 'learning_rate = "1e-3"'),
        'training.learning_rate: must be a number, not "1e-3". Remove the quotes.',
    ),
    "wrong_word": (
        text('pairing = "disjoint"', 'pairing = "disjunct"'),
        "families.cov.pairing: \"disjunct\" is not one of 'shared', 'disjoint' or 'independent'. Did you mean 'disj",
    ),
    "missing_pairing": (
        text('budget = { amount = 6 }\npairing = "shared"', "budget = { amount = 6 }"),
        "mixtures.en: 'pairing' is missing. Add it: \"shared\" (the same items",
    ),
    "shares_not_one": (
        text("sw = 0.5", "sw = 0.55"),
        "study.toml, mixtures.en50-sw50: shares sum to 1.05 and must sum to 1. Change one of them.",
    ),
    "share_negative": (text("sw = 0.5", "sw = -0.5"), "shares.sw: is -0.5 and must be at least 0"),
    "negative_amount": (
        text("amount = 6", "amount = -6"),
        "mixtures.en.budget.amount: is -6 and must be greater than 0",
    ),
    "shares_and_counts": (
        append(MIXTURE % "shares = { en = 1.0 }, counts = { en = 3 }"),
        "mixtures.m.components[0]: needs shares or counts, and not both",
    ),
    "shares_without_budget": (append(MIXTURE % "shares = { en = 1.0 }"), "mixtures.m: 'budget' is missing"),
    "all_counts_zero": (
        append(MIXTURE % "counts = { en = 0 }"),
        "all counts are 0, so the mixture has no training examples",
    ),
    "counts_and_budget_disagree": (
        append(MIXTURE % "counts = { en = 3 }" + "budget = { amount = 4 }\n"),
        "mixtures.m.budget.amount: is 4, but the counts sum to 3",
    ),
    "tokens_without_tokenizer": (text("amount = 6", 'amount = 6, unit = "tokens"'), "'tokenizer' is missing"),
    "unknown_tokenizer": (
        text("amount = 6", 'amount = 6, unit = "tokens", tokenizer = "tinny"'),
        "there is no model 'tinny'. Did you mean 'tiny'?",
    ),
    "unknown_language": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["en", "swa-x"]'),
        "study.toml, evaluations.math.languages[1]: 'swa-x' is not a language tag that Crosslift knows. "
        "Did you mean 'sw'? See: crosslift list languages",
    ),
    "evaluation_language_not_in_corpus": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["es"]'),
        "evaluations.math.languages[0]: corpus 'test' has no 'es'. It has: en, sw, te.",
    ),
    "shots_of_nowhere": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "exampels", number = 2 }'),
        "evaluations.math.shots.corpus: there is no corpus 'exampels'",
    ),
    "shots_lack_a_language": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "train", number = 2 }'),
        "evaluations.math.shots.corpus: 'train' lacks evaluated languages: te",
    ),
    "shots_of_the_test": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "test", number = 2 }'),
        "evaluations.math.shots.corpus: is the evaluated corpus itself",
    ),
    "more_shots_than_items": (
        text('corpus = "test"', 'corpus = "test"\nlanguages = ["en"]\nshots = { corpus = "train", number = 7 }'),
        "evaluations.math.shots.number: is 7 but max_items of 'train' is 6",
    ),
    "no_shots": (
        text('corpus = "test"', 'corpus = "test"\nshots = { corpus = "train", number = 0 }'),
        "evaluations.math.shots.number: is 0 and must be greater than 0",
    ),
    "language_twice": (text('["en", "sw", "te"]', '["en", "sw", "en"]'), "languages[2]: 'en' is listed twice"),
    "mixture_language_not_in_corpus": (
        text("sw = 0.5", "te = 0.5"),
        "mixtures.en50-sw50.components[0].shares.te: corpus 'train' has no 'te'",
    ),
    "unknown_corpus": (
        text('corpus = "train"', 'corpus = "trian"'),
        "mixtures.en.components[0].corpus: there is no corpus 'trian'. Did you mean 'train'?",
    ),
    "corpus_twice_in_a_mixture": (
        text(EN, EN.replace("}]", '}, { corpus = "train", shares = { sw = 0.0 } }]')),
        "components[1]: corpus 'train' is listed twice",
    ),
    "trained_on_test": (
        text('corpus = "train"', 'corpus = "test"'),
        "'test' is the test split. Train on a corpus with",
    ),
    "unknown_reader": (text('"jsonl"', '"jsnol"'), "there is no reader 'jsnol'. Did you mean 'jsonl'?"),
    "unknown_task": (text('task = "math"', 'task = "maths"'), "there is no task 'maths'. Did you mean 'math'?"),
    "unknown_prompt": (text('task = "math"', 'task = "math"\nprompt = "bear"'), "Did you mean 'bare'?"),
    "unknown_generator": (
        text('corpus = "test"', 'corpus = "test"\ngenerator = "hff"'),
        "evaluations.math.generator: there is no generator 'hff'. Did you mean 'hf'?",
    ),
    "unknown_trainer": (text("epochs = 2", 'epochs = 2\ntrainer = "nativ"'), "there is no trainer 'nativ'."),
    "unknown_mixture_in_grid": (
        text("seeds = [0, 1]", 'mixtures = ["cow"]'),
        "no mixture or family 'cow'. Did you mean 'cov'?",
    ),
    "unknown_model_in_grid": (
        text("seeds = [0, 1]", 'models = ["teeny"]'),
        "grid.models[0]: there is no model 'teeny'",
    ),
    "seed_twice": (text("[0, 1]", "[1, 1]"), "grid.seeds: 1 is listed 2 times"),
    "missing_model_folder": (remove("tiny"), "models.tiny.path: the folder ./tiny does not exist"),
    "model_folder_without_config": (remove("tiny/config.json"), "./tiny has no config.json"),
    "no_hub_name": (text('"./tiny"', '"qwen3-s"'), "the path of a pocket model is pocket:qwen3-s"),
    "unknown_pocket_model": (text('"./tiny"', '"pocket:qwen9"'), "there is no pocket model 'qwen9'"),
    "missing_template": (
        text('path = "./tiny"', 'path = "./tiny"\ntemplate = "chat.jinja"'),
        "models.tiny.template: there is no file chat.jinja",
    ),
    "missing_corpus_file": (remove("train.jsonl"), "corpora.train.path: train.jsonl does not exist"),
    "corpus_without_path": (text('path = "train.jsonl"\n', ""), "corpora.train: 'path' is missing"),
    "option_of_wrong_type": (
        text("max_items = 6", "licence = 6"),
        "corpora.train.licence: must be a text, not 6",
    ),
    "too_few_items": (
        text("amount = 6", "amount = 9"),
        "requires 9 items of corpus 'train' in 'en' and max_items is 6: 3 too few",
    ),
    "too_few_for_disjoint": (
        text('budget = { amount = 6 }\npairing = "disjoint"', 'budget = { amount = 7 }\npairing = "disjoint"'),
        "families.cov: mixture cov-en requires 7 items of corpus 'train' in all languages together",
    ),
    "empty_family": (
        text('nested = ["en", "sw", "es"]', "languages = []"),
        "families.cov.languages: is [] and must not be empty",
    ),
    "empty_language_set": (
        text('nested = ["en", "sw", "es"]', 'languages = [["en"], []]'),
        "families.cov.languages[1]: is []",
    ),
    "family_with_nothing": (
        text('nested = ["en", "sw", "es"]\n', ""),
        "needs languages (one list per mixture) or nested",
    ),
    "sizes_of_nothing": (
        text('nested = ["en", "sw", "es"]\n', "sizes = [1]\n"),
        "needs languages (one list per mixture) or nested",
    ),
    "leave_one_out_of_one_twice": (
        append(FAMILY + 'kind = "leave_one_out"\nlanguages = ["en", "en"]\nbudget = { amount = 2 }\n'),
        "families.f.languages[1]: 'en' is listed twice. Remove one.",
    ),
    "nested_too_small": (
        text('nested = ["en", "sw", "es"]', 'nested = ["en"]\nsizes = [2]'),
        "2 exceeds the 1 languages",
    ),
    "unknown_kind": (text('kind = "coverage"', 'kind = "coverge"'), "families.cov: 'coverge' is not a kind of family."),
    "missing_kind": (text('kind = "coverage"\n', ""), "families.cov: 'kind' is missing"),
    "doses_not_whole": (
        append(FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nlanguages = ["es"]\ndoses = [0, 1.5]\n'),
        "families.f.doses[1]: must be a whole number, not 1.5",
    ),
    "dose_of_the_fixed_language": (
        append(FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nlanguages = ["en"]\ndoses = [1]\n'),
        "'en' is in 'fixed' as well",
    ),
    "fixed_from_nowhere": (
        append(
            FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nfixed_from = { train = "trane" }\n'
            'languages = ["es"]\ndoses = [1]\n'
        ),
        "families.f.fixed_from: there is no corpus 'trane'. Did you mean 'train'?",
    ),
    "fixed_from_a_stranger": (
        append(
            FAMILY + 'kind = "dose"\nfixed = { en = 2 }\nfixed_from = { tarin = "train" }\n'
            'languages = ["es"]\ndoses = [1]\n'
        ),
        "families.f.fixed_from: there is no corpus of the family 'tarin'",
    ),
    "donor_is_pivot": (
        append(FAMILY + 'kind = "donors"\npivot = "en"\ndonors = ["en", "es"]\nbudget = { amount = 2 }\n'),
        "families.f.donors: 'en' is the pivot",
    ),
    "leave_one_out_of_one": (
        append(FAMILY + 'kind = "leave_one_out"\nlanguages = ["en"]\nbudget = { amount = 2 }\n'),
        'families.f.languages: is ["en"] and must have at least 2 entries',
    ),
    "epochs_and_steps": (text("epochs = 2", "epochs = 2\nsteps = 9"), "training: needs epochs or steps, and not both"),
    "no_batch": (text("batch_examples = 2\n", ""), "training: needs batch_examples or batch_tokens, and not both"),
    "lora_without_method": (text("epochs = 2", "epochs = 2\nlora = { rank = 4 }"), 'no effect with method = "full"'),
    "lora_targets": (
        text("epochs = 2", 'epochs = 2\nmethod = "lora"\nlora = { target_modules = "all" }'),
        "training.lora.target_modules",
    ),
    "select_without_validation": (
        text('validation = { corpora = ["dev"], max_items = 2 }\n', ""),
        'training.select_by: "loss" requires validation data',
    ),
    "validation_without_the_language": (
        text('languages = ["en", "es", "sw"]\npath = "dev.jsonl"', 'languages = ["es", "sw"]\npath = "dev.jsonl"'),
        "training.validation: has no item in a language and task of en, cov-en, whose checkpoints cannot be",
    ),
    "validation_on_train": (
        text('corpora = ["dev"]', 'corpora = ["train"]'),
        "'train' is the train split. Validate on",
    ),
    "contrast_control_missing": (text('control = "en"\n', ""), "contrasts[0]: 'control' is missing"),
    "contrast_control_unknown": (
        text('control = "en"', 'control = "eng"'),
        "contrasts[0].control: there is no mixture 'eng'",
    ),
    "contrast_control_is_a_family": (
        text('control = "en"', 'control = "cov"'),
        "'cov' is a family. Name one of its mixtures: cov-en",
    ),
    "contrast_with_itself": (text('"en50-sw50", "cov"', '"en"'), "'en' is compared with itself"),
    "contrast_base_without_base": (
        both(text("base = true", "base = false"), text('control = "en"', 'control = "base"')),
        "the base models are not in the grid. Set base = true",
    ),
    "contrast_outside_the_grid": (
        text("seeds = [0, 1]", 'mixtures = ["en", "cov"]'),
        "'en50-sw50' is not in grid.mixtures",
    ),
    "two_runs_of_one_name": (
        text("[mixtures.en]", "[mixtures.EN50-sw50]"),
        "2 entries are named 'en50-sw50' (ignoring case)",
    ),
    "mixture_named_like_a_family": (
        text("[families.cov]", "[families.en]"),
        "families.en: a mixture has the same name",
    ),
    "mixture_named_base": (text("[mixtures.en]", "[mixtures.base]"), "'base' is the name of the base model"),
    "name_with_a_slash": (text('name = "toy"', 'name = "toy/2"'), "'toy/2' is not a usable name"),
    "run_name_too_long": (text("[models.tiny]", f"[models.{'tiny' * 40}]"), "is longer than 120 characters"),
    "nothing_evaluates_the_task": (
        text('task = "math"', 'task = "api_calling"'),
        "there is no evaluation of api_calling, which en, en50-sw50, cov-en and 2 more train on. Add one.",
    ),
    "tables_as_a_list": (append("\n[[models_]]\n"), "unknown key 'models_'. Did you mean 'models'?"),
    "contrasts_as_a_table": (text("[[contrasts]]", "[contrasts]"), "must be tables of the form [[contrasts]]"),
    "number_of_5000_digits": (text("data_seed = 7", "data_seed = " + "9" * 5000), "does not fit into 64 bits"),
    "number_of_100_bits": (
        text("data_seed = 7", f"data_seed = {2**100:#x}"),
        "study.toml, data_seed: contains a whole",
    ),
    "nested_5000_deep": (
        text("data_seed = 7", f"data_seed = {'[' * 5000}{']' * 5000}"),
        "is nested more than 50 levels deep",
    ),
    "keys_5000_deep": (append(f"\n[{'.'.join(['a'] * 5000)}]\n"), "study.toml: is nested more than 50 levels deep."),
    "name_of_a_million_characters": (
        text('name = "toy"', f'name = "{"a" * 10**6}"'),
        "study.toml, name: has 1,000,000 characters; the limit is 100,000. Shorten it.",
    ),
    "name_of_a_thousand_characters": (
        text('name = "toy"', f'name = "{"a" * 1000}"'),
        "study.toml, name: has 1,000 characters; the limit is 120. Shorten the name.",
    ),
    "mixture_of_a_thousand_characters": (text("[mixtures.en]", f"[mixtures.{'m' * 1000}]"), "is longer than 500 char"),
    "unknown_language_of_a_thousand_characters": (
        text('corpus = "test"', f'corpus = "test"\nlanguages = ["{"x" * 90_000}"]'),
        "xxx... (90,000 characters)' is not a language tag that Crosslift knows.",
    ),
    "learning_rate_of_1e308": (
        text("learning_rate = 1e-3", "learning_rate = 1e308"),
        "training.learning_rate: is 1e+308 and must be between 1e-12 and 1000. Change it.",
    ),
    "learning_rate_of_5e-324": (
        text("learning_rate = 1e-3", "learning_rate = 5e-324"),
        "training.learning_rate: is 4.94066e-324 and must be between 1e-12 and 1000. Change it.",
    ),
    "batch_of_a_trillion": (
        text("batch_examples = 2", "batch_examples = 1_000_000_000_000"),
        "training.batch_examples: is 1e+12 and must be between 1 and 1e+07.",
    ),
    "answers_of_a_trillion_tokens": (
        text('corpus = "test"', 'corpus = "test"\nmax_tokens = 1_000_000_000_000'),
        "evaluations.math.max_tokens: is 1e+12 and must be between 1 and 1e+07.",
    ),
    "a_trillion_examples": (
        text(
            'budget = { amount = 6 }\npairing = "shared"',
            'budget = { amount = 1000000000000 }\npairing = "shared"\nrepeat = true',
        ),
        "mixtures.en: requires more than 100,000,000 examples. Lower it.",
    ),
    "400_000_runs": (
        text("[0, 1]", str(list(range(200_000)))),
        "study.toml, grid: defines 1,000,000 runs; the limit is 20,000.",
    ),
    "path_in_a_name": (text('name = "toy"', 'name = "../../etc/toy"'), "'../../etc/toy' is not a usable name"),
    "absolute_path_as_a_mixture": (text("[mixtures.en]", '[mixtures."/etc/passwd"]'), "'/etc/passwd' is not a usable"),
    "path_as_a_corpus": (text("[corpora.dev]", '[corpora."../dev"]'), "'../dev' is not a usable name"),
    "path_as_a_model": (text("[models.tiny]", '[models."../tiny"]'), "'../tiny' is not a usable name"),
    "path_as_an_evaluation": (text("[evaluations.math]", '[evaluations."a/../../b"]'), "is not a usable name"),
    "dots_as_a_model": (text("[models.tiny]", '[models.".."]'), "'..' is not a usable name"),
    "nul_in_a_name": (text('name = "toy"', 'name = "toy\\u0000"'), r"'toy\x00' is not a usable name"),
    "escape_in_a_name": (text('name = "toy"', 'name = "\\u001b[31mtoy"'), r"'\x1b[31mtoy' is not a usable name"),
    "right_to_left_in_a_name": (text('name = "toy"', 'name = "toy\\u202eyot"'), r"'toy\u202eyot' is not a usable"),
    "reserved_name": (text("[mixtures.en]", "[mixtures.NUL]"), "'NUL' is a reserved device name on Windows."),
    "brackets_in_a_name": (text('name = "toy"', 'name = "toy [sw]"'), "'toy [sw]' is not a usable name"),
    "several_at_once": (
        both(
            text("learning_rate = 1e-3", "learning_rate = 0"),
            text("sw = 0.5", "sw = 0.4"),
            text('"./tiny"', '"./tyni"'),
            text('["en", "sw", "te"]', '["en", "sw", "xx"]'),
        ),
        (
            "learning_rate: is 0 and must be greater than 0",
            "shares sum to 0.9",
            "./tyni does not exist",
            "'xx' is not a language",
        ),
    ),
}
