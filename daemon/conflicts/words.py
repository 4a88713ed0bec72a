"""What the judgement of conflicts knows about English words: lists, each with the question that it answers.

They say how sentences are built and which attributes have one value at a time; they name no things of the world. A word
that stands in no list is judged by its letters, its class (number, date, name) and its vector.
"""

__all__ = [
    "AUXILIARIES",
    "BECAUSE",
    "CHANGES",
    "DENIALS",
    "FOR_ONE",
    "IRREGULAR",
    "LIGHT",
    "MANY_NOUNS",
    "MANY_VERBS",
    "MONTHS",
    "NUMBERS",
    "ONE_NOUNS",
    "ONE_VERBS",
    "OPPOSITES",
    "SAME",
    "SIMILAR_VERBS",
    "STOP",
    "UNITS",
    "WEEKDAYS",
]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP = _set(
    """
    a an the this that these those some any such own very really quite rather also too just even still only
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs one ones
    who whom whose which what there here of in at to for from by with into onto about over under as than
    and or but so if then when while where because since until till during between among through per via
    user users please usually often always sometimes mostly mainly generally currently
    each every day-to-day going able
    """
)
"""Words that carry no content for a comparison. Prepositions are among them: what they introduce says more."""

AUXILIARIES = _set(
    """
    is are was were be been being am has have had having do does did doing will would shall should can could may might must
    gets got get getting became become becomes remains remain stays stay
    """
)
"""Verbs that say little themselves; the first of them in a sentence ends its subject."""

DENIALS = _set("not no never cannot without neither nor none nobody nothing hardly lacks lack lacking")
"""Words that turn a sentence into its opposite."""

LIGHT = _set(
    "take place hold make give call name say tell know want plan agree decide decision use happen come go thing way"
)
"""Verbs and nouns that a sentence may have or lack without saying anything else."""

_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_TENS = "thirty forty fifty sixty seventy eighty ninety"
NUMBERS = {word: str(value) for value, word in enumerate(_COUNTED.split())}
NUMBERS |= {word: str(10 * value) for value, word in enumerate(_TENS.split(), 3)}
NUMBERS |= {"hundred": "100", "thousand": "1000", "million": "1000000", "dozen": "12", "once": "1", "twice": "2"}

MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "january jan",
            "february feb",
            "march",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ]
    )
    for name in names.split()
}

WEEKDAYS = {
    name: number
    for number, day in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
    for name in (day, day + "s")
}

UNITS = {
    "second": "s sec secs second seconds", "minute": "min mins minute minutes", "hour": "h hr hrs hour hours",
    "millisecond": "ms millisecond milliseconds", "kilogram": "kg kilo kilos kilogram kilograms", "gram": "g gram grams",
    "meter": "m metre metres meter meters", "kilometer": "km kilometre kilometres kilometer kilometers",
    "centimeter": "cm centimetre centimetres centimeter centimeters", "liter": "l litre litres liter liters",
    "gigabyte": "gb gigabyte gigabytes", "megabyte": "mb megabyte megabytes", "terabyte": "tb terabyte terabytes",
    "percent": "percent % pct", "euro": "euro euros eur", "dollar": "dollar dollars usd", "pound": "pound pounds gbp",
}  # fmt: skip
"""Units by the word that stands for all their spellings."""

IRREGULAR = {
    "children": "child", "people": "person", "men": "man", "women": "woman", "wives": "wife", "lives": "live", "mice": "mouse",
    "went": "go", "gone": "go", "kept": "keep", "held": "hold", "made": "make", "chose": "choose", "chosen": "choose",
    "wrote": "write", "written": "write", "ran": "run", "running": "run", "run": "run", "born": "born", "bought": "buy",
    "sold": "sell", "left": "leave", "built": "build", "led": "lead", "met": "meet", "spoke": "speak", "spoken": "speak",
    "taught": "teach", "took": "take", "taken": "take", "gave": "give", "given": "give", "said": "say", "told": "tell",
    "knew": "know", "known": "know", "began": "begin", "begun": "begin", "grew": "grow", "grown": "grow", "drove": "drive",
    "driven": "drive", "ate": "eat", "eaten": "eat", "drank": "drink", "sent": "send", "paid": "pay", "spent": "spend",
    "drew": "draw", "won": "win", "lost": "lose", "found": "find", "felt": "feel", "rode": "ride", "read": "read",
    "died": "die", "dies": "die", "lying": "lie", "dying": "die", "logged": "log", "planned": "plan", "stopped": "stop",
    "shipped": "ship", "merged": "merge", "data base": "database", "stdout": "standard output", "analyses": "analysis",
    "cpu": "processor", "cpus": "processor", "repo": "repository", "repos": "repository", "app": "application",
    "apps": "application", "config": "configuration", "prod": "production", "dev": "development", "docs": "documentation",
    "db": "database", "favourite": "favorite", "colour": "color", "centre": "center", "grey": "gray", "licence": "license",
    "programme": "program", "theatre": "theater", "behaviour": "behavior", "organisation": "organization", "fibre": "fiber",
    "forbidden": "forbid", "forbade": "forbid", "rewritten": "rewrite", "hidden": "hide", "broken": "break",
    "used": "use", "using": "use", "worn": "wear", "bus": "bus", "news": "news", "always": "always", "studied": "study", "tried": "try",
}  # fmt: skip
"""Forms that no rule makes, short forms, and British spellings."""

SAME = (
    "work employ job", "child kid", "bike bicycle cycle", "like love enjoy fond", "prefer favor", "live reside dwell", "buy purchase",
    "begin start commence", "end finish", "doctor physician", "car automobile", "choose select pick opt", "big large", "small little",
    "fix repair resolve", "own possess", "allow permit", "forbid prohibit ban", "need require", "developer programmer engineer",
    "birthday born birth", "locate situate base", "headquarter headquarters", "mail email", "phone telephone", "spouse partner",
    "last take", "request ask", "delete remove", "create add", "error failure", "use utilize employ", "hold take", "keep retain store",
    "degree graduate", "study degree", "lead leader head", "cost price", "team group", "machine server host", "trip journey",
    "responsible responsibility own", "father dad", "mother mom mum", "movie film", "photo picture", "color colour", "begin open",
    "deadline due", "help assist", "near close", "quick fast", "commute ride", "movie cinema", "show display", "launch release",
)  # fmt: skip
"""Words that may stand for one another."""

OPPOSITES = (
    "on/off", "open/close", "enable/disable", "allow permit/forbid prohibit ban deny", "require mandatory compulsory/optional voluntary",
    "male/female", "man/woman", "boy/girl", "married/single unmarried divorced", "dark/light", "black/white", "hot/cold warm", "big large/small little",
    "long/short", "high/low", "fast quick/slow", "old/new young", "early/late", "left/right", "true/false", "public/private", "ascending/descend descending",
    "ascend/descend", "increase/decrease", "rise/fall", "up/down", "full/empty", "internal/external", "online/offline", "alive/dead", "present/absent",
    "accept/reject refuse decline", "succeed pass success/fail failure", "win/lose", "buy/sell", "love like enjoy/hate dislike detest", "start begin/end stop finish",
    "first/last", "always/never", "all every/none", "everybody everyone/nobody", "more/less fewer", "before/after", "inside indoors/outside outdoors",
    "synchronous/asynchronous", "mutable/immutable", "maximum/minimum", "max/min", "cheap/expensive", "easy/hard difficult", "good/bad", "rich/poor",
    "healthy/sick ill", "guilty/innocent", "strong/weak", "safe/dangerous", "correct right/wrong incorrect", "possible/impossible", "legal/illegal",
    "morning/evening night", "day/night", "manual/automatic", "static/dynamic", "free/paid", "vegetarian vegan/omnivore", "introvert/extrovert",
    "tall/short", "wide/narrow", "thick/thin", "heavy/light", "hard/soft", "wet/dry", "clean/dirty", "sweet/sour bitter", "lock/unlock", "add/remove",
    "include/exclude", "import/export", "input/output", "upload/download", "local/remote", "temporary/permanent", "beginner/expert", "junior/senior",
    "tab/space", "http/https", "tcp/udp", "approve/reject", "ally/enemy", "friend/enemy", "north/south", "east/west", "agree/disagree", "active/inactive",
)  # fmt: skip
"""Words of which one at most is true of a thing: `a b/c` sets each of a and b against c."""

CHANGES = _set(
    """
    now nowadays anymore formerly previously recently meanwhile newly lately henceforth
    move relocate switch change migrate replace upgrade update rename rewrite reassign promote demote retire quit resign leave
    become sell stop cease grow raise lower increase decrease reduce extend postpone delay reschedule cancel close finish complete
    deprecate resolve fix marry divorce die gain lose graduate ship launch release shut shutdown reopen revoke discontinue
    new wed
    """
)
"""Words by which a sentence says that something has become other than it was."""

BECAUSE = {
    "live": "move relocate emigrate", "reside": "move relocate", "base": "move relocate", "locate": "move relocate",
    "work": "join leave quit retire promote hire fire resign switch start", "employ": "join leave quit retire hire fire",
    "single": "marry wed engaged", "married": "divorce separate widow", "engaged": "marry wed", "own": "sell buy lose donate",
    "have": "sell buy lose", "open": "close resolve fix", "plan": "postpone cancel delay finish complete", "train": "finish complete",
}  # fmt: skip
"""What has become other when such a verb is told: who moved lives elsewhere."""

ONE_VERBS = _set(
    """
    live reside bear die marry base locate headquarter situate cost weigh measure expire begin start end finish depart arrive
    open close found establish direct invent compose author license manage lead assign manufacture cause choose prefer
    pass fail return sort require last meet keep retain hold store graduate earn belong produce design happen release publish
    employ run
    """
)
"""Verbs with one value at a time: another value contradicts."""

ONE_NOUNS = _set(
    """
    birthday age husband wife spouse fiance fiancee deadline due price capital president ceo cto mayor king queen chair founder
    email mail phone number address port version status state color height weight size length width depth speed limit budget
    gender sex nationality religion native favorite best worst main primary default priority rank rating score grade blood type
    timezone zone language locale currency owner lead leader manager boss supervisor maintainer author director editor timeout
    interval threshold temperature capacity duration date day time place location room gate seat name title headquarters
    population salary income password key id url domain license mother father surname hometown birthplace position role
    """
)
"""Attributes with one value at a time."""

MANY_VERBS = _set(
    """
    speak like love enjoy know learn visit travel see watch play own support include contain eat drink handle fix report attend
    sponsor sell buy come need depend wear collect cook sing paint draw grow study teach serve provide offer list create remove
    delete add show help hear try go fly swim fear talk give follow mention cover read write use make want have do study train
    work use share show help take
    """
)
"""Verbs with many values at once: another value is another fact, unless the two exclude each other in other ways."""

MANY_NOUNS = _set(
    "interest hobby skill friend child kid son daughter sibling brother sister cousin colleague member goal idea tip example allergic allergy"
)
"""Attributes with many values at once."""

FOR_ONE = _set("choose use keep store return require need want run work answer deploy serve do")
"""Verbs that have one value for each purpose: `as the database`, `for indentation`, `when there is no user`."""

SIMILAR_VERBS = _set("be run write play host deploy serve")
"""Verbs whose values exclude each other if they are of one sort: two systems, two animals."""
