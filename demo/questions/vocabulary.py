"""Words the generated prompts are made of: wide enough that two seeds rarely ask the same."""

# ruff: noqa: SIM905  (words are read and edited as words, not as 400 quoted strings)

FIRST_NAMES = (
    "Ada Alan Amira Anton Beatriz Carlos Chen Clara Dmitri Elena Emil Fatima Felix Grace Hana Hugo Ines Ivan Jonas "
    "Julia Kofi Lena Leo Lucia Marco Maria Mateo Mina Nadia Nora Olga Omar Paula Pedro Priya Rosa Samir Sofia Tariq "
    "Tessa Viktor Yara Yusuf Zoe"
).split()

DOMAINS = (
    "acme.com bluebird.org cedarmail.net dunes.io eastwind.com fernbank.org gridline.net harborview.com inkwell.io "
    "juniper.org kitebox.com lanternco.net maplesoft.org northgate.com orchard.io pinewood.net"
).split()

CITIES = (
    "Amsterdam Athens Bangkok Barcelona Berlin Boston Cairo Chicago Dakar Denver Dublin Hamburg Helsinki Istanbul "
    "Jakarta Kyoto Lagos Lima Lisbon Madrid Manila Miami Milan Montreal Mumbai Munich Nairobi Osaka Oslo Paris Prague "
    "Quito Rome Santiago Seattle Seoul Stockholm Sydney Tokyo Toronto Valencia Vienna Warsaw Zurich"
).split()

MONTHS = "January February March April May June July August September October November December".split()

THINGS = (
    "apples bananas bottles bricks buttons candles carrots chairs coins cookies cups eggs flowers forks hats keys "
    "lemons marbles notebooks onions oranges pears pencils plates potatoes shells shirts shoes spoons stamps stones "
    "tickets tomatoes"
).split()

PRODUCTS = (
    "blender|book|camera|coffee maker|concert|film|headset|hotel|jacket|keyboard|lamp|laptop|meal|mattress|phone|"
    "play|printer|restaurant|show|speaker|suitcase|tent|toaster|tour|vacuum cleaner|watch"
).split("|")

PRAISE = (
    "I loved every minute of it|it works perfectly and looks beautiful|it was better than I had hoped|"
    "the quality is outstanding|everything about it was wonderful|it made my whole family happy|"
    "I would buy it again without thinking twice|it is the best I have ever had|the staff were kind and helpful|"
    "it is worth every cent|I am delighted with it|I recommend it to all my friends|it exceeded all my expectations|"
    "it is fast, quiet and easy to use|it was a joy from start to finish|I could not be happier with it"
).split("|")

BLAME = (
    "I hated every minute of it|it broke after two days|it was much worse than I had feared|the quality is terrible|"
    "everything about it was awful|it ruined our weekend|I want my money back|it is the worst I have ever had|"
    "the staff were rude and slow|it was a complete waste of money|I am very disappointed with it|"
    "I would not recommend it to anyone|it never worked as promised|it is slow, loud and hard to use|"
    "it was boring from start to finish|I regret buying it"
).split("|")

GOOD = "amazing brilliant charming delightful excellent fantastic lovely perfect superb wonderful".split()

BAD = "annoying awful boring broken disappointing dreadful horrible terrible ugly useless".split()

TRAITS = (
    "big blue bright brown calm clean cold dark deep dry fast green happy heavy kind large little loud new old "
    "quiet red short slow small soft strong tall warm white wild wise young"
).split()

NOUNS = (
    "apple beach bear bird boat book bread bridge car cat chair city clock cloud dog door dream farm field fish flower "
    "forest garden hill horse house island king lake letter light moon mountain night ocean river road school ship "
    "song star stone street summer table tower train tree village wind window winter world"
).split()
