"""What extraction knows about English words: closed classes, verbs by what they tell, nouns for people. No things of the world."""

from functools import cache

from enhanced_memory.daemon.extraction.forms import conjugated
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["ADVERBS", "VERBS", "verb_of"]


# Verbs, by what a sentence with them tells

LIKING = wordlist(
    "prefer like love enjoy hate dislike adore detest loathe despise favour favor fancy cherish dread resent mind suit admire relish fear crave treasure savour savor"
)
"""Preferences, with whatever they are about."""

DECIDING = wordlist(
    """
    decide resolve agree choose pick select opt settle adopt approve reject drop abandon ditch scrap standardise standardize finalise
    finalize veto shelve ratify endorse discard conclude vote commit ban deprecate discontinue
    """
)
"""Decisions, once they have been made: past, perfect or passive."""

DECIDING_WITH = {
    "go": "with for",
    "rule": "out",
    "stick": "with to",
    "stay": "with on",
    "sign": "off",
    "land": "on",
    "rule_in": "",
    "turn": "down",
}
"""Decisions by a verb and its particle."""

LIVING = wordlist(
    """
    live reside work study teach speak own drive play run manage lead maintain hold belong commute suffer wear weigh code
    program develop use raise breed volunteer sing paint write train compete coach rent share serve represent handle
    hail stem originate research practise practice specialise specialize freelance head chair co-own co-found moderate
    """
)
"""What says something lasting of a person in the present tense."""

LIFE = wordlist(
    """
    bear join graduate retire move marry divorce establish quit start leave become grow diagnose buy adopt lose qualify emigrate
    immigrate settle train win publish earn receive inherit relocate transfer promote hire appoint raise tear break
    """
)
"""What says something lasting of a person in the past tense, with a year or a place."""

PERSONAL = LIKING | wordlist(
    """
    live reside work study teach speak marry divorce retire graduate join move drive commute volunteer practise practice play
    grow quit report prefer plan hope intend want wish think say believe tell ask call visit travel fly celebrate learn train
    """
)
"""What only people do: a name in front of such a verb is a person's."""

BUILDING = wordlist(
    """
    use run have host deploy store support ship build write rely target depend require expose serve process keep log track
    release version publish document test monitor cache encrypt sync import export integrate implement follow maintain
    """
)
"""What is said of a project, or by those who make it."""

BUILT = wordlist(
    "write build host deploy base store maintain test document release develop implement make run design license package power"
)
"""What is done to a project: `is written in`, `is hosted on`."""

TRIVIAL = wordlist(
    """
    try let see check think wait look get give tell know ask say miss say do be make have need take keep send show explain add help
    remember forget mind hope guess bet assume leave admit mention note post paste put hang hold stop come go start
    """
)
"""What one says that one will do next, and what says nothing unless it says when or what."""

PASSING = wordlist(
    """
    think know guess mean see hope wonder feel want need understand agree disagree thank appreciate apologise apologize get keep try
    say tell ask look hear find wish believe doubt remember forget suggest recommend promise bet notice assume expect suppose imagine
    realise realize recall admit swear seem appear sound add wait regret insist claim point refer quote fail crash happen stop begin
    start finish end take give make let put show send come go leave click press enter type paste copy open close reach turn bring miss
    propose second congratulate welcome owe deserve trust concern confirm deny accept refuse object mind care matter help
    be have do can may will would could run call stay make sit stand hit pick pull push spend lose win set post share join
    """
)
"""Verbs whose present tense tells what passes: what is thought, said, tried, or done just now."""
INSISTING = wordlist("insist demand require expect request want")

# Verbs that ask for something now

ASKING = wordlist(
    """
    help advice assistance hand idea ideas suggestion suggestions example examples explanation function script code recipe list
    summary email letter essay poem story name title answer second minute moment break favour favor something anything someone
    tip tips recommendation recommendations opinion feedback translation plan outline query regex program snippet time sleep
    coffee holiday vacation drink hug more look info information clarification support input details reminder
    """
)
"""What somebody who needs it asks for, and does not need for good."""

TRANSIENT = wordlist(
    """
    question problem issue idea doubt feeling look error bug bunch lot few minute chance time trouble headache cold fever
    meeting call interview appointment suggestion request favour favor couple point reason thought clue complaint concern
    deadline fun day moment second exam test choice nothing something anything everything access plan goal dream hope
    faith message update news tip thing attitude blast experience memory way need right talk chat sense word story view
    picture photo video song book copy draft ticket task job start goal lead option surprise
    """
)
"""What one has for a while."""
NO_ROLE = wordlist(
    """
    bit little lot mess hurry while one same only first next case kind sort type mix disaster idiot fool wreck zombie genius failure
    person one pity shame pleasure result reason problem thing way question challenge point joke sign matter fact believer
    """
)
"""What `I am a …` says without telling who one is."""

IDLE_NOUNS = wordlist(
    """
    question problem issue guess point concern understanding idea code build computer head program script test tests query
    printer internet connection mistake bad apologies thought thoughts feeling fault turn reason advice opinion impression
    laptop screen error output input function goodness god
    """
)
"""Of which `my … is` says how things stand."""

ATTRIBUTES = wordlist(
    """
    name birthday email e-mail mail address phone number mobile extension timezone language tongue username handle login
    nickname size height weight age job title role position profession occupation hometown nationality employer company
    office department team address major degree school university editor ide stack os distro keyboard shell browser car bike
    blood surname initials pronouns religion background specialty speciality field hobby instrument allergy diet account
    iban website blog portfolio salary income budget type deadline anniversary zodiac locale currency salutation maiden
    """
)
"""What a person or a project has one of."""

KIN = wordlist(
    """
    wife husband partner spouse girlfriend boyfriend fiance fiancee fiancé fiancée mother father mum mom mummy dad daddy parent parents
    sister brother sibling siblings son daughter child children kid kids baby twin twins aunt uncle cousin niece nephew
    grandmother grandfather grandma grandpa granny grandson granddaughter stepmother stepfather stepson stepdaughter
    youngest eldest oldest firstborn godmother godfather in-law sister-in-law brother-in-law mother-in-law father-in-law ex ex-wife ex-husband family
    """
)
NEAR = wordlist(
    """
    friend friends bestie mate colleague colleagues coworker co-worker boss manager supervisor mentor mentee teacher tutor coach
    neighbour neighbor roommate flatmate landlord landlady assistant client customer teammate partner co-founder cofounder
    therapist doctor dentist gp physio lawyer accountant trainer professor advisor adviser intern apprentice student
    counterpart successor predecessor deputy contact buddy lead employer pupil nanny babysitter carer guardian
    """
)
HE = wordlist(
    """
    husband boyfriend father dad daddy brother son uncle nephew grandfather grandpa grandson stepfather stepson
    godfather brother-in-law father-in-law ex-husband king prince landlord man boy
    """
)
SHE = wordlist(
    """
    wife girlfriend mother mum mom mummy sister daughter aunt niece grandmother grandma granny granddaughter
    stepmother stepdaughter godmother sister-in-law mother-in-law ex-wife queen princess landlady waitress actress
    woman girl
    """
)
PETS = wordlist("dog cat puppy kitten horse parrot hamster rabbit pet tortoise goldfish pony")
KNOWN = KIN | NEAR
"""Who somebody is to somebody."""

ROLES = wordlist(
    """
    nurse pilot chef cook cto ceo cfo coo vp director head president chair chairman secretary treasurer lead founder owner
    vet doctor surgeon dentist midwife paramedic architect lawyer judge student pupil intern trainee apprentice freelancer
    consultant contractor analyst scientist engineer developer programmer designer tester admin administrator sysadmin dba
    manager accountant clerk cashier assistant teacher professor lecturer librarian journalist author writer editor artist
    musician actor actress singer dancer photographer carpenter plumber electrician mechanic farmer gardener baker butcher
    smith miller driver soldier officer sergeant captain detective firefighter fireman policeman policewoman guard athlete
    runner coach trainer referee parent mother father widow widower grandmother grandfather orphan twin immigrant refugee
    citizen native vegetarian vegan pescatarian christian muslim jew buddhist hindu atheist agnostic introvert extrovert
    beginner expert novice veteran member volunteer maintainer contributor counsel researcher postdoc statistician economist
    psychologist therapist pharmacist chemist physicist biologist mathematician historian translator interpreter waiter
    waitress barista bartender hairdresser tailor sailor priest monk nun king queen prince princess knight wizard witch
    ranger thief merchant innkeeper blacksmith bard druid cleric rogue paladin elf dwarf orc man woman girl boy diabetic
    coeliac celiac asthmatic smoker morning night resident tenant landlord landlord beekeeper representative
    """
)
"""What a person is; words that end like one (-er, -or, -ist, -ian) count too where somebody says it of themselves."""

LASTING = wordlist(
    """
    vegetarian vegan pescatarian coeliac celiac diabetic asthmatic dyslexic autistic colour-blind color-blind colourblind
    colorblind deaf blind lactose-intolerant left-handed right-handed short-sighted married single divorced widowed engaged
    retired unemployed self-employed freelance bilingual trilingual pregnant gay lesbian bisexual straight trans nonbinary
    non-binary muslim christian jewish catholic protestant hindu buddhist atheist agnostic sober teetotal gluten-free
    intolerant epileptic anaemic anemic hypertensive insulin-dependent introverted extroverted native male female tall
    """
)
"""What one is for long, in a word."""

LASTING_WITH = {
    "allergic": "to", "married": "to", "engaged": "to", "based": "in at out", "born": "in on", "called": "", "named": "",
    "responsible": "for", "intolerant": "to of", "fluent": "in", "originally": "from", "located": "in at near", "from": "",
    "afraid": "of", "scared": "of", "terrified": "of", "related": "to", "certified": "in as", "trained": "as in", "raised": "in by",
    "employed": "at by as", "enrolled": "in at", "diagnosed": "with", "qualified": "as in", "nicknamed": "", "headquartered": "in",
    "addicted": "to", "immune": "to", "good": "at", "bad": "at", "terrible": "at", "hopeless": "at", "experienced": "in with", "new": "to",
}  # fmt: skip

FOND = {"fond": "of", "keen": "on", "interested": "in", "passionate": "about", "crazy": "about", "mad": "about", "obsessed": "with",
        "into": "", "sick": "of", "tired": "of", "fed": "up", "partial": "to", "averse": "to", "bored": "by"}  # fmt: skip
"""Adjectives that tell a preference, with the preposition that makes them do so."""

DOING = wordlist(
    "work learn study train build write save develop plan organise organize research practise practice prepare translate renovate design teach read"
)
"""What one is at for weeks: `I am learning Spanish`."""

CHANGING = wordlist(
    "go rise grow increase drop fall shrink change switch move migrate convert rename shift extend postpone delay bring push cut raise lower reduce upgrade"
)
"""What is otherwise afterwards."""

ABLE = wordlist(
    "swim drive cook read ride dance sing speak eat drink digest fly climb ski skate type juggle play write draw sew program code knit paint bake sail weld"
)
"""What somebody can or cannot do for good."""

MADE = wordlist(
    """
    repo repository monorepo project codebase code app application service backend frontend server api database cluster pipeline gateway
    site website library package tool game module bot cli platform client stack system product plugin extension schema
    installation deployment production staging shop store company firm team office school clinic
    """
)
"""What people make or run: of it is said what it is and does."""

WORKING = wordlist(
    "talk connect read write send listen fall sync load call query return accept contain live sit stand consist speak"
)
"""What such a thing does with others."""

PLACES = wordlist(
    "garden house flat apartment room desk office school shop village farm studio workshop home street station kitchen balcony garage bakery"
)
"""What one has that stands somewhere."""

# Small words

PRONOUNS = wordlist(
    "i we you he she it they this that these those there who everybody everyone somebody someone nobody anybody anyone people one"
)
GENERIC = wordlist(
    """
    you one people everybody everyone somebody someone nobody anybody anyone they there most many some few several any
    all none both each either neither nothing everything something anything
    """
)
"""Of whom nothing is told that would be worth keeping."""

MODALS = wordlist("will would can could may might must shall should")
BE = {"am": "b", "is": "s", "are": "b", "was": "d", "were": "d", "be": "b", "been": "n", "being": "g"}
HAVE = {"have": "b", "has": "s", "had": "d", "having": "g"}
DO = {"do": "b", "does": "s", "did": "d"}

ALWAYS = wordlist(
    "always never usually often rarely seldom normally typically regularly mostly generally habitually routinely frequently mainly"
)
"""How often: with the present tense they tell a habit."""

ADVERBS = ALWAYS | wordlist(
    """
    really also just still now currently already actually probably definitely only both all ever even simply quite very much
    absolutely totally certainly personally especially particularly strongly truly honestly finally recently soon sometimes
    mostly then therefore thus hereby kindly again originally formerly previously officially unanimously jointly eventually
    almost nearly basically literally deeply completely fully strictly generally nowadays kinda sort presently lately
    initially primarily largely occasionally happily proudly sadly unfortunately fortunately genuinely secretly
    """
)

OPENERS = wordlist(
    """
    well so ok okay oh ah hm hmm yes yeah yep no nope and but also then plus anyway actually btw fyi ps honestly tbh basically
    besides still right sure fine great cool haha lol omg wow ugh sorry thanks hi hello hey exactly indeed alright now look
    listen again finally personally hopefully unfortunately luckily frankly otherwise meanwhile however therefore additionally
    furthermore moreover instead similarly or yet though perfect good excellent nice
    """
)
"""What a sentence may begin with and say nothing by it."""

LEADING = wordlist(
    """
    in on at for since until till by after before during from next last this every each once two three as with to over under
    around throughout between within through today tomorrow yesterday tonight nowadays currently usually normally typically
    generally sometimes often lately recently back here later soon most at starting beginning per despite because given instead rather
    """
)
"""What may stand in front of a sentence's subject: when, where, for what."""

CUTTING = wordlist("and but so because since although though whereas while which ; : , — – ( ) - as")
"""Where another clause may begin."""

NOT_NAMES = wordlist(
    """
    i we you he she it they this that these those there the a an my our your his her their its if when while because so and but
    or nor for yet not no yes do does did is are was were be been am has have had will would can could should shall may might
    must let please thanks thank hi hello hey dear best kind regards what who whom whose which where why how any some all each
    every both few many most much more less other another such same own only just also too very then than as at by from in into
    of off on onto out over to up with without about after before during since until under again once here now today tomorrow
    yesterday tonight next last maybe perhaps sorry sure ok okay well oh exactly actually always never usually often sometimes
    make use keep add remember note one two three four five everyone everybody someone nobody people monday tuesday wednesday
    thursday friday saturday sunday january february march april may june july august september october november december spring
    summer autumn winter christmas easter god first second third good great nice fine
    """
)
"""Words with a capital letter that are no names."""

IMPERATIVES = wordlist(
    """
    use keep avoid stick answer reply respond call address treat prefer assume ensure format prefix name store put place
    write speak talk include exclude remove omit skip ask check run test commit add follow show send mention say start
    stop begin end leave wrap indent sort round limit return give tell quote cite explain translate summarise summarize
    refer respect remind deploy push merge review log document spell sign validate escape hash encrypt book order buy
    schedule confirm delete touch change modify edit create generate print read open close save pin lock rely trust
    """
)
STANDING = wordlist("avoid ensure prefer assume treat stick")
"""Imperatives that are meant for good."""
MANNER = wordlist("in with as by at using under over")
"""Prepositions behind `answer`, `write`, `keep`: how it is to be done."""

MONTHS = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
DAYS = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"

VERBS = (
    LIKING | DECIDING | LIVING | LIFE | INSISTING | PERSONAL | BUILDING | BUILT | TRIVIAL | DOING | IMPERATIVES
    | wordlist(
        """
        go come eat drink cook sleep bring carry fix repair finish complete switch migrate replace upgrade update rename
        schedule postpone cancel delay reschedule fly travel visit meet attend host sign sell pay bring invite celebrate
        perform playtest present launch retire rebase squash renovate install configure bake grow water walk run swim hike ride cycle
        climb dance listen watch collect knit sew draw shop smoke quit stop begin prepare organise organize apply
        practise exercise meditate jog take call text mail message mean correct happen close open end expire depart arrive
        cost contain declare carry weigh fit stand bear abide tolerate change accept allow forbid permit deny refuse
        turn lead bisect squash talk discuss contact seem appear feel hear claim believe wonder suppose imagine
        wish expect understand agree disagree recommend suggest offer promise swear spend send receive win lose
        rise grow increase drop fall shrink shift extend reduce lower digest juggle ski skate type connect query consist
        tend aim intend break kill burn cut hit hurt fall bite show freeze jam fail crash work wake rise sit stand share borrow lend
        """
    )
)  # fmt: skip

_IRREGULAR = """
go goes went gone going;come comes came come coming;have has had had having;do does did done doing;get gets got gotten getting;
take takes took taken taking;give gives gave given giving;make makes made made making;know knows knew known knowing;
think thinks thought thought thinking;see sees saw seen seeing;say says said said saying;tell tells told told telling;
write writes wrote written writing;speak speaks spoke spoken speaking;drive drives drove driven driving;run runs ran run running;
grow grows grew grown growing;bear bears bore born bearing;become becomes became become becoming;choose chooses chose chosen choosing;
leave leaves left left leaving;lead leads led led leading;hold holds held held holding;keep keeps kept kept keeping;
buy buys bought bought buying;sell sells sold sold selling;build builds built built building;teach teaches taught taught teaching;
meet meets met met meeting;send sends sent sent sending;spend spends spent spent spending;pay pays paid paid paying;
put puts put put putting;let lets let let letting;hit hits hit hit hitting;cut cuts cut cut cutting;read reads read read reading;
eat eats ate eaten eating;drink drinks drank drunk drinking;sleep sleeps slept slept sleeping;bring brings brought brought bringing;
find finds found found finding;fly flies flew flown flying;swim swims swam swum swimming;ride rides rode ridden riding;
wear wears wore worn wearing;win wins won won winning;lose loses lost lost losing;break breaks broke broken breaking;
tear tears tore torn tearing;sing sings sang sung singing;begin begins began begun beginning;stick sticks stuck stuck sticking;
quit quits quit quit quitting;mean means meant meant meaning;feel feels felt felt feeling;hear hears heard heard hearing;
understand understands understood understood understanding;forget forgets forgot forgotten forgetting;draw draws drew drawn drawing;
sit sits sat sat sitting;stand stands stood stood standing;fall falls fell fallen falling;bite bites bit bitten biting;
show shows showed shown showing;freeze freezes froze frozen freezing;burn burns burnt burnt burning;learn learns learned learnt learning;
lend lends lent lent lending;shut shuts shut shut shutting;wake wakes woke woken waking;rise rises rose risen rising;
forbid forbids forbade forbidden forbidding;swear swears swore sworn swearing;bet bets bet bet betting;hang hangs hung hung hanging;
hurt hurts hurt hurt hurting;cost costs cost cost costing;fit fits fit fit fitting;practise practises practised practised practising;
bake bakes baked baked baking;sew sews sewed sewn sewing;dread dreads dreaded dreaded dreading;spell spells spelled spelt spelling
"""


@cache
def _forms() -> dict[str, tuple[str, str]]:
    table = conjugated(VERBS, _IRREGULAR)
    del table["bed"]
    table["founded"] = ("establish", "d")
    table["set"] = ("set", "d")  # as often as not it is past, and `I set` tells nothing lasting in the present
    return table


def verb_of(word: str) -> tuple[str, str] | None:
    """The verb that a word is a form of, and which form; None for a word that no known verb has."""
    return _forms().get(word)
