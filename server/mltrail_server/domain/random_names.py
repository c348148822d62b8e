"""Names for candidates that nobody has named."""

import secrets

_ADJECTIVES = (
    "able agile amber apt bold brave bright brisk calm candid careful civil clear clever cool crisp daring deft eager "
    "earnest fair famous fast fine fleet fond frank free fresh gentle glad golden grand great handy happy hardy honest "
    "humble ideal jolly keen kind lively loyal lucid lucky mellow merry mighty modest neat nimble noble open patient "
    "placid polite proud quick quiet rapid ready robust serene sharp silent simple sincere sleek smart smooth snug "
    "solid sound spry stately steady sturdy subtle sunny swift tidy trim true trusty upbeat valiant vivid warm wise"
)
_NOUNS = (
    "ant auk badger bat bear beaver bee bison boar buck bug calf carp cat colt cod crab crane crow cub deer doe dog "
    "dove duck eagle eel elk ewe fawn finch fish flea fly foal fowl fox frog gnat gnu goat goose grouse gull hare hawk "
    "hen heron hog horse hound ibex jay koi lamb lark lion loon lynx mare mink mole moose moth mouse mule newt otter "
    "owl ox panda perch pig pike pony pug quail ram rat raven robin rook seal shad shark sheep shrew shrike skunk slug "
    "snail snake sole sow squid stag stoat stork swan tern toad trout vole wasp whale wolf wren yak zebra"
)


def random_name() -> str:
    """Make up a name in MLflow's manner, for example `brisk-otter-417`."""
    return f"{secrets.choice(_ADJECTIVES.split())}-{secrets.choice(_NOUNS.split())}-{secrets.randbelow(1000)}"
