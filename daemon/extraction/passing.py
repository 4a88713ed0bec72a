"""What passes, and what is only kindly meant: feelings, errands, aches, praise. English."""

import re

from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["ABSTRACT", "AWAY", "IDIOMS", "PRAISE", "STATES", "SYMPTOMS"]

_VERY = (
    r"(?:very |really |so |too |quite |pretty |rather |a bit |a little |still |just |all |also |not |super |totally |"
    r"completely |absolutely |always |kind of |sort of |more |most |extremely |incredibly |pretty much |much )*"
)

STATES = re.compile(
    rf"^{_VERY}(?:tired|sleepy|exhausted|sick|ill|unwell|poorly|busy|hungry|thirsty|starving|sorry|sure|glad|happy|sad|unhappy|worried|excited|nervous|"
    r"anxious|stressed|bored|angry|annoyed|upset|cross|furious|confused|puzzled|stuck|lost|late|early|ready|done|finished|back|here|there|home|"
    r"fine|ok|okay|good|great|well|better|worse|best|alright|right|wrong|curious|aware|convinced|certain|unsure|positive|grateful|thankful|"
    r"thrilled|delighted|pleased|proud|impressed|surprised|shocked|amazed|stunned|speechless|jealous|envious|lucky|available|able|"
    r"unable|willing|eager|tempted|inclined|torn|cold|hot|warm|wet|drunk|awake|asleep|alone|lonely|overwhelmed|swamped|behind|ahead|close|near|"
    r"far|gone|away|up|down|off|over|through|around|honou?red|flattered|touched|embarrassed|ashamed|guilty|relieved|disappointed|frustrated|"
    r"hopeful|optimistic|pessimistic|sceptical|skeptical|doubtful|concerned|serious|honest|kidding|joking|dying|welcome|correct|mistaken|"
    r"blessed|amazing|awesome|wonderful|fantastic|inspired|motivated|determined|committed|open|free|set|hooked|sold|used|due|bound|likely|"
    r"supposed|forced|obliged|reluctant|hesitant|keen|interested|afraid|scared|terrified|in love|all ears|game|down for|up for|out of|calm|relaxed|"
    r"comfortable|uncomfortable|safe|fit|strong|weak|dizzy|shaky|sore|rusty|clueless|speechless|patient|mad|crazy|silly|stupid|rude|mean|unfair|"
    r"fair|clear|unclear|true|false|possible|impossible|important|funny|weird|strange|odd|sweet|kind|nice|lovely|cute|adorable|beautiful|gorgeous|"
    r"cool|neat|rough|tough|hard|difficult|easy|simple|the same|worth|like|such|enough|nothing|something|anything|everything|someone|one of those|kinda|"
    r"pumped|stoked|psyched|focused|obsessed|passionate|sunk|hurt|in for|individual|different|broken|dead|slow|full|empty|"
    r"missing|frozen|crashed|blocked|delayed|cancelled|canceled|closed|locked|flat|hopeless|pregnant with|new to this)\b",
    re.IGNORECASE,
)
"""How somebody or something is just now: what follows `be`."""

AWAY = re.compile(
    rf"^{_VERY}(?:off|away|out|back|busy|free|closed|due|available|here|there|home|gone|up|early|late|open)\b",
    re.IGNORECASE,
)
"""What is a plan if a time stands with it."""

IDIOMS = re.compile(
    r"^(?:all )?(?:in (?:it|to|an? (?:hurry|rush|(?:\w+ )?mood|rut|bind|pickle|mess|meeting|call|bit|way|while|weird)|bed|trouble|pain|town|luck|line|"
    r"agreement|shock|tears|awe|love|touch|charge of it|two minds|on it|good hands|the (?:same boat|mood|middle|loop|car|office|kitchen|bath|shower|zone|dark)|"
    r"favou?r|doubt|fact|general|theory|my (?:head|mind|opinion|view|room|bed)|no (?:hurry|rush|mood|position))|"
    r"on (?:it|my (?:way|mind|own|phone|feet|mobile)|the (?:phone|fence|way|same page|road|bus|train|move|mend|case|go|edge|other hand|line|lookout)|board|fire|track|"
    r"time|edge|cloud nine|top of|point|standby|hold|your|a (?:roll|call|break|budget))|"
    r"at (?:it|home|work|school|lunch|a loss|the (?:moment|airport|station|office|door|end|doctor|bottom|top|bar|gym|beach|"
    r"time)|peace|risk|odds|least|once|all|first|last|ease|this)|"
    r"with (?:you|it|that|this|them|him|her|a friend|friends)|from (?:you|it|that|here|there|me)|out of (?:the way|it|here|my|"
    r"touch|luck|time|money|milk|ideas|breath|order|"
    r"town|my depth|practice|curiosity)|off (?:to|the hook|track)|under (?:pressure|stress|the weather|the impression|"
    r"control)|into (?:it|that|this)|by (?:the way|far|now|then)|"
    r"for (?:you|it|that|this|sure|real|now|me|us)|between (?:us|you|jobs))\b",
    re.IGNORECASE,
)
"""A preposition and what follows, where it tells no place, no work and no group."""

PRAISE = re.compile(
    rf"^{_VERY}(?:an? |the |my |such an? |one of the )?{_VERY}(?:amazing|awesome|wonderful|fantastic|great|lovely|nice|"
    rf"beautiful|gorgeous|incredible|terrific|brilliant|excellent|perfect|"
    r"impressive|inspiring|powerful|meaningful|special|precious|important|sweet|cute|adorable|cool|fun|funny|crazy|tough|hard|weird|blast|joy|pleasure|honou?r|"
    r"treat|blessing|gift|dream|reminder|relief|shame|pity|hoot|gem|bummer|nightmare|mystery|lifesaver|must-see|rewarding|fulfilling|tasty|delicious|yummy|"
    r"terrible|horrible|key|vital|crucial|awful|dreadful|bad|worst|best)\b",
    re.IGNORECASE,
)
"""A word of praise or blame."""

SYMPTOMS = re.compile(
    r"\b(?:cough|headache|cold|fever|flu|runny nose|sore \w+|stomach ?ache|toothache|hangover|temperature|chills|rash|blister|"
    r"cramps?|hiccups|bruise|sleepless|nightmares?|"
    r"bad (?:day|night|week|feeling)|good (?:day|night|week|feeling|time)|hard time|rough \w+|tough \w+|great time|fun|blast|"
    r"ball|feeling|faith|hope|doubts?|questions?|trouble|problems?|issues?|"
    r"difficulty|difficulties|luck|chance|idea|clue|word|moment|minute|second|look|point)\b",
    re.IGNORECASE,
)
"""What one has for a few days."""

ABSTRACT = wordlist(
    "question point issue problem concern understanding impression opinion feeling guess thought advice apology bad mistake fault code query test build script "
    "screen error internet wifi connection printer head mind heart day week weekend morning evening night turn eye eyes "
    "mouth gut luck god goodness word pleasure answer"
)
"""Of which it is said how things stand, and not how they are."""
