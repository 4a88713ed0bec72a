"""Turns of phrase by which a clause says when, how often, since when, and what it only points at. English."""

import re

from enhanced_memory.daemon.extraction.english_words import (
    DAYS,
    MONTHS,
)
from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["AGREEING", "FREQUENT", "IDLE_NO", "NOW", "OLD", "PAST_TIME", "POINTING", "SINCE", "WHEN", "YEAR"]


_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|"
    "seventeenth|eighteenth|nineteenth|twentieth|twenty-\\w+|thirtieth|thirty-first"
)
WHEN = re.compile(
    rf"\b(?:today|tonight|tomorrow|(?:this|next|coming|following) (?:morning|afternoon|evening|week|weekend|month|quarter|year|spring|summer|"
    rf"autumn|fall|winter|term|semester|season|sprint|release|version|{DAYS}|{MONTHS})|"
    rf"(?:on|by|until|till|before|from|for|in|over|after|this|at) (?:the )?(?:{DAYS}|weekend|\d{{1,2}}(?:st|nd|rd|th)?\b|(?:first|second|"
    rf"third|fourth|last) (?:of|{DAYS}|weeks?|days?|half|quarter)|christmas|easter|{MONTHS})|"
    rf"(?:in|by|until|since|from|for|before|around|during|after|over) (?:early |late |mid-?)?(?:{MONTHS}|spring|summer|autumn|fall|winter|"
    rf"\d{{4}}|christmas|easter|the (?:spring|summer|autumn|fall|winter|new year|holidays|coming \w+|next \w+))|"
    rf"(?:on|by|until|till|before|from) the (?:{_ORDINALS})(?= of\b|[,.;!?]|$| at\b| in\b| and\b| \()|next time|come (?:spring|summer|autumn|winter|{MONTHS})|"
    r"in (?:a|an|one|two|three|four|five|six|seven|eight|nine|ten|a few|a couple of|\d+) (?:minutes?|hours?|days?|weeks?|months?|years?)|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{MONTHS})|(?:{MONTHS}) \d{{1,2}}|\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|"
    rf"(?:{DAYS})|q[1-4]|end of (?:the )?\w+|from now on)\b",
    re.IGNORECASE,
)
"""A time, of a plan or a date."""


FREQUENT = re.compile(
    rf"\b(?:every|each) (?:single |other |second |few )?(?:day|night|morning|afternoon|evening|week|weekend|month|quarter|year|"
    rf"spring|summer|autumn|fall|winter|time|{DAYS}|hour|\d|two|three|four)|"
    rf"\b(?:{DAYS})s\b|\bweekends\b|\bweekdays\b|\b(?:once|twice|(?:two|three|four|five|six|seven|several|many|\d+) times) (?:a|an|"
    rf"per|each|every) \w+|\b(?:daily|weekly|monthly|yearly|nightly|annually)\b|"
    r"\bon the (?:first|last|second|third|\d+(?:st|nd|rd|th)) (?:\w+ )?of (?:the|each|every) (?:month|week|quarter|year|"
    r"term)\b|\bin the (?:mornings?|evenings?|afternoons?)\b|\bat (?:night|noon|lunch|dawn|weekends)\b|\bmost (?:days|nights|"
    r"weeks|"
    r"weekends|mornings|evenings|of the time)\b|"
    r"\b(?:before|after|during) (?:breakfast|lunch|dinner|work|school|bed|sleep)\b|\baround (?:\d|noon|one|two|three|four|five|six|"
    r"seven|eight|nine|ten|eleven|twelve|midnight)|\bas a rule\b|\ball the time\b|"
    r"\b(?:hours?|times?|minutes?|cups?|days?|litres?|miles|km|kilometres|units?|[a-z]+s) (?:a|per) (?:day|night|week|month|year)\b|"
    r"\bwhen(?:ever)? (?:i|we|he|she|it|the|my)\b|\bon the day\b|\bevery\b",
    re.IGNORECASE,
)
"""How often: of a habit."""


YEAR = re.compile(r"\b(?:19[3-9]\d|20\d\d)\b")


OLD = re.compile(r"\b1[0-8]\d\d\b|\b19[0-2]\d\b")


SINCE = re.compile(
    r"\b(?:since|(?:for|over|during) (?:the (?:last|past) )?(?:a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty\S*|"
    r"thirty\S*|many|several|some|over|about|almost|nearly|\d+|years|ages|decades)|(?:my|his|her) (?:whole|entire) life|"
    r"from childhood)\b",
    re.IGNORECASE,
)


NOW = re.compile(
    r"\b(?:right now|at the moment|just now|today|this (?:morning|evening|afternoon|minute)|tonight|currently|yesterday|earlier|"
    r"last night|so far|yet|a (?:bit|little))\b",
    re.IGNORECASE,
)


PAST_TIME = re.compile(
    rf"\b(?:yesterday|(?<!the )last (?:night|week|month|weekend|{DAYS})|ago|earlier|this morning|just)\b", re.IGNORECASE
)


POINTING = re.compile(
    r"^(?:to$|it|this|that|these|those|them|him|her|you|your|yours|the way|how|what|to (?:see|hear|meet|know|think|say)|so|too|as well|where)\b",
    re.IGNORECASE,
)


AGREEING = re.compile(
    r"^(?:that|this|the|your) (?:\w+ )?(?:idea|plan|version|approach|suggestion|patch|song|design|answer|thought|point|sound|look|"
    r"proposal|picture|photo|article|story|post|joke|solution|comment|direction|change)s?\b",
    re.IGNORECASE,
)


LED = re.compile(
    rf"^(?:in|on|at|for|since|until|till|by|after|before|during|from|over|with|without|as|(?:this|next|last|every|each|most|"
    rf"some|all) (?:\w+ )?(?:times?|days?|weeks?|weekends?|months?|years?|"
    rf"mornings?|evenings?|nights?|afternoons?|spring|summer|autumn|fall|winter|term|season|quarter|sprint|payday|{DAYS}s?|{MONTHS})|today|tonight|"
    rf"tomorrow|yesterday|nowadays|now|currently|usually|normally|sometimes|right now|these days|at the moment|here|there|once|twice|{DAYS})\b",
    re.IGNORECASE,
)
"""What may lead a sentence in front of a comma: when, where, in what case."""

CLOCK = re.compile(
    r"\b(?:at|by|from|until|till|around|before|after) (?:about |around )?(?:half (?:past )?|quarter (?:past|"
    r"to) )?(?:\d{1,2}(?::\d\d)?(?: ?[ap]\.?m\b\.?| o['’]clock)?(?! ?%|[./]?\d)|one|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight)\b(?! (?:of|years|days|weeks|months|euros|dollars|percent|people|per))",
    re.IGNORECASE,
)
"""A time of day."""
IDLE_NO = wordlist("problem worries idea way thanks one need doubt wonder rush matter clue luck longer")
"""What stands behind a `no` that forbids nothing: `no problem`."""
