"""Words of ordinary English beyond those that clauses are told by: titles, what stirs somebody, and verbs by their form alone.

That a word is a verb is enough to find where a clause has its own.
"""

from functools import cache

from enhanced_memory.daemon.extraction.english_words import verb_of
from enhanced_memory.daemon.extraction.forms import conjugated
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["STIRRING", "TITLES", "any_verb"]

TITLES = wordlist(
    "professor prof dr mr mrs ms miss aunt uncle auntie grandma grandpa coach sister brother captain sir lady father"
)
"""What stands in front of a person's name."""

STIRRING = wordlist(
    """
    help suit bore calm relax annoy bother irritate stress scare frighten terrify soothe comfort motivate inspire interest please tire
    depress disgust delight fascinate distract unsettle intimidate overwhelm confuse amuse energise energize ground thrill upset
    """
)
"""What something does to whoever feels it."""

_FURTHER = wordlist(
    """
    absorb accompany accuse ache achieve acquire adapt adjust admire advertise advise afford aggravate amount analyse analyze announce
    answer approach argue arrange arrest assemble assess assign assist attach attack attract audit average award babysit balance ban
    bang bark bath bathe battle beam beat beg behave blame blend bless blink block bloom blossom blush boil bolt book bottle bounce bow box brag brake
    breathe breastfeed brew brighten broadcast browse bruise brush budget bully bump bury buzz calculate camp capture care carve catch cater cause cease
    challenge charge chart chase chat cheat cheer chew chop circulate claim clash classify clean clear clip clog clutter coat collapse
    collide colour color comb combine comfort command comment communicate commute compare compensate compile complain
    complicate compose concentrate concern confess confine confirm conflict confuse connect consider construct consult consume
    contradict contribute control convince cope copy cough count crack crave crawl create creak criticise criticize crochet cross crowd
    cry cuddle cultivate cure curl cycle damage date deal debate debug decay deceive decline decorate decrease dedicate defend define
    delegate deliver demonstrate depend depress derive descend describe deserve design destroy detect determine develop devote differ
    dig dilute dine dip direct disappear disappoint discover disturb dive divide dominate donate double doubt drag drain dread dream
    dress drift drill drip drown dry dump dust dye earn ease echo edit educate elect eliminate embarrass embrace emerge emphasise
    emphasize employ enable encounter encourage engage enter entertain equip erase escape escort establish evolve examine exceed
    exchange excite exclaim exercise exhaust exist expand experience experiment explode explore expose express extend face fade
    faint fast fasten feature feed fence fetch fidget fiddle fight file fill film filter fire fish flash flatter flee flick flirt float flood flourish
    flow fluctuate focus foster found fret frown frustrate fry function fund gain gather gaze garden generate glow govern grab grade
    grant greet grieve grill grind grip groom guarantee guide handle harm harvest haul haunt heal heat hesitate hide highlight
    hinder hire hold hop house hover hug hum hunt hurry identify ignore illustrate impact imply impose impress improve incline
    include indicate infect influence inform inhabit inhale inherit injure insert inspect inspire insure intensify interact interfere
    interpret interrupt introduce invade invent invest investigate involve iron irritate isolate itch jump kick kid kiss knead kneel knit
    knock label lack land last laugh lay lean leap leak lick lie lift light limp line link list litter load lock loom loop love lull
    mail manufacture march mark mash master match measure melt mend mess milk mind mine mislead miss mix moan mock model mop motivate
    mount mourn mow multiply mumble murmur narrow navigate neglect negotiate nod number nurse obey object observe obtain occupy occur
    offend operate oppose originate overcook overflow overlap overlook oversee oversleep overthink overtake overwhelm owe pace pack paint panic park
    participate pass paste pat pause peel peer perform persist persuade phone photograph pin pinch plague plant plaster plead plough plow plug point poke
    polish pop possess post pour praise pray preach predict preserve press pretend prevent proceed process procrastinate produce progress
    prohibit project pronounce propose protect protest prove provide provoke prune publish pull pump punch punish purchase pursue push puzzle
    qualify quarrel question queue race rain rake range reach react realise realize reassure rebuild recall recharge recognise recognize recover recruit
    recycle redo reduce reflect refresh regard register regret regulate rehearse reject relate relax release relieve rely remain remark
    remember remind remodel remove renew rent reorder repeat reply represent request rescue research resemble resent reserve resign resist respect
    respond rest restore restrict result retain retire return reveal reverse revise revolve reward rhyme ring rinse risk roam roar roast rob
    rock roll rot rotate row rub ruin rule rush sail salt sample satisfy save scan scatter schedule score scrape scratch scream screen
    scrub seal search season seat secure seek seize select separate serve settle shape sharpen shave shed shelter shine ship shiver
    shock shoot shoulder shout shovel shower shrug sigh signal simmer simplify sip situate sketch skid skip slam slap slice slide slip slow smash
    smell smile smooth snack snap sneak sneeze sniff snore snow soak soothe sound span spare spark specialise specialize specify speed
    spill spin spit splash split spoil sponsor spot spread spring squeak squeeze stabilise stabilize stack staff stain stall stammer stamp stare starve
    state steal steam steer stem step stir stitch store strain strengthen stress stretch strike strip strive stroke struggle stumble
    stun submit subscribe substitute succeed suck suffer suffice sum summarise summarize supervise supply support suppose surf surprise surround
    survive suspect suspend sustain swallow swap sway sweat sweep swell swing switch tackle taste tax tease tempt tend terrify text
    thank thaw threaten thrive throw tick tickle tidy tie tighten time tip tire toast tolerate top toss touch tour tow trace track trade
    trail transcribe transform translate transport trap trawl treat tremble trick trigger trim triple trouble trust tuck tumble tune tutor twist
    type undergo undermine undo undertake unlock unpack unwind update upset urge vaccinate vacuum value vanish vary ventilate view violate
    volunteer vote wag wait walk wander warm warn wash waste watch water wave weaken weave weed weep welcome wheeze whisper whistle widen
    wipe wire withdraw witness wobble worry worsen wrap wreck wrestle yawn yell yield zoom beat strike seek
    """
)

_IRREGULAR = """
ring rings rang rung ringing;beat beats beat beaten beating;catch catches caught caught catching;feed feeds fed fed feeding;
fight fights fought fought fighting;hide hides hid hidden hiding;lay lays laid laid laying;lie lies lay lain lying;seek seeks sought sought seeking;
shine shines shone shone shining;shoot shoots shot shot shooting;slide slides slid slid sliding;spin spins spun spun spinning;
split splits split split splitting;spread spreads spread spread spreading;steal steals stole stolen stealing;strike strikes struck struck striking;
sweep sweeps swept swept sweeping;swing swings swung swung swinging;throw throws threw thrown throwing;weave weaves wove woven weaving;
weep weeps wept wept weeping;deal deals dealt dealt dealing;dig digs dug dug digging;flee flees fled fled fleeing;creep creeps crept crept creeping;
bind binds bound bound binding;blow blows blew blown blowing;breed breeds bred bred breeding;cling clings clung clung clinging;
grind grinds ground ground grinding;kneel kneels knelt knelt kneeling;lean leans leant leant leaning;leap leaps leapt leapt leaping;
light lights lit lit lighting;mow mows mowed mown mowing;shake shakes shook shaken shaking;shed sheds shed shed shedding;
sink sinks sank sunk sinking;stride strides strode stridden striding;undergo undergoes underwent undergone undergoing;
undertake undertakes undertook undertaken undertaking;withdraw withdraws withdrew withdrawn withdrawing;overtake overtakes overtook overtaken overtaking;
oversleep oversleeps overslept overslept oversleeping;unwind unwinds unwound unwound unwinding;retake retakes retook retaken retaking;
redo redoes redid redone redoing;rebuild rebuilds rebuilt rebuilt rebuilding;outgrow outgrows outgrew outgrown outgrowing;
mistake mistakes mistook mistaken mistaking;foresee foresees foresaw foreseen foreseeing;overhear overhears overheard overheard overhearing;
oversee oversees oversaw overseen overseeing;overcome overcomes overcame overcome overcoming;upset upsets upset upset upsetting
"""


@cache
def _forms() -> dict[str, tuple[str, str]]:
    return conjugated(_FURTHER, _IRREGULAR)


def any_verb(word: str) -> tuple[str, str] | None:
    """The verb that a word is a form of, and which form, as `verb_of` tells it, of many more verbs."""
    return verb_of(word) or _forms().get(word)
