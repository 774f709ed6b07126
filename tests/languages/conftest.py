from hypothesis import settings

settings.register_profile("crosslift", deadline=None, derandomize=True)  # the first example may load a model
settings.load_profile("crosslift")
