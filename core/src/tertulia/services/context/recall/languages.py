"""What recall knows of languages: the words of each that are grammar, and how its words change."""

# ruff: noqa: RUF001  # letters that look like Latin ones are meant to be what they are

from __future__ import annotations

import re

import attrs


def _read(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The closed classes of English: pronouns, articles, prepositions, auxiliaries, and what asks. Words of other
# languages are weighed by how often they are said.
FUNCTION_WORDS = _read("""
    a about after all also am an and any anything are as at be been before being but by can could did do does
    doing done during ever for from had has have having he her here him his how i if in into is it its just
    let may me might more most much must my no nor not of off on one onto or other our out over own please s
    shall she should so some something such t tell than that the their them then there these they this those
    to too under until up us very was we were what when where which while who whom whose why will with would
    yes yet you your
""")

QUESTION_MARKS = ("?", "\uff1f", "\u061f", "\u037e")

CONJUNCTIONS = _read("and but or so then und aber oder et mais ou y pero o e ma mas en maar of и а но")
"""What goes on with what was said, where it comes first."""

FIRST_PERSON = _read("""
    i me my mine ich mich mir mein meine meinen meinem meiner je moi mon ma mes yo mi mis io mio mia eu meu
    minha ik mij mijn я меня мне мой моя мои моего моей мою
""")
"""Whoever speaks."""

ABOUT_ASSISTANT = re.compile(
    r"\b(?:did|have|had|were) you\b"
    r"|\byou (?:\w+ed|said|told|gave|wrote|made|showed|sent|had|were)\b"
    r"|\b(?:hast|hattest) du\b|\b(?:haben|hatten) sie\b"
    r"|\b(?:as[ -]tu|avez-vous|tu as|vous avez|tu m.as|vous m.avez)\b"
    r"|\b(?:dijiste|recomendaste|sugeriste|explicaste|hai detto|hai consigliato|voce disse|voce sugeriu)\b"
    r"|\b(?:ты|вы) (?:\w+ )?\w+(?:л|ла|ли)\b"
    r"|[你您](?:之前|刚才|说|建议|推荐|提到)"
)
"""A question about what the assistant has said: "can you" only asks it to say something now."""

EXPLAINED = re.compile(
    r"\b(?:how|why) (?:did|have|has|had|was|were)\b"
    r"|\bhow (?:i|you|we|he|she|they|it|my|your|our|his|her|their|the|this|that|an?)\b"
    r"|\b(?:what|which|what was the) (?:approach|cause|method|reasons?|steps?|way|ways)\b"
    r"|\bwie (?:habe|haben|hast|hat|hatte|hatten|ist|sind|war|waren|wurde|wurden)\b"
    r"|\b(?:warum|wieso|weshalb) (?:habe|haben|hast|hat|hatte|hatten|war|waren|wurde|wurden)\b"
)
"""A question for a manner or a cause in the past, not for a degree, as "how many" is: it was explained."""

EXPLANATORY = re.compile(
    r"\bhow (?:do|does|can|could|should|would|will|to|is|are)\b|\bwhy\b"
    r"|\bwie (?:kann|konnte|konnen|soll|sollte|wird|geht|macht)\b|\b(?:warum|wieso|weshalb|waarom)\b"
    r"|\b(?:pourquoi|por que|perche|почему|зачем)\b"
    r"|^\W*(?:hoe|comment|como|come|как) (?!(?:lang|vaak|veel|долго|много|часто|heet|(?:tu )?t.appel|s.appel"
    r"|se llama|te llamas|se chama|si chiama|ti chiami|зовут|называ))"
    r"|为什么|怎么|如何|どうして|どうやって|なぜ|왜 |어떻게|لماذا|كيف"
)
"""The same of what is to be done now, or of any time; "comment s'appelle" asks for a name."""

# Names of months, folded: English, German, Dutch, French, Spanish, Portuguese, Italian, Russian.
_MONTHS = """
    january jan januar januari janvier enero janeiro gennaio января январь январе
    february feb februar februari fevrier febrero fevereiro febbraio февраля февраль феврале
    march mar marz maart mars marzo marco марта март марте
    april apr avril abril aprile апреля апрель апреле
    may mai mei mayo maio maggio мая май мае
    june jun juni juin junio junho giugno июня июнь июне
    july jul juli juillet julio julho luglio июля июль июле
    august aug augustus aout agosto августа август августе
    september sep sept septembre septiembre setembro settembre сентября сентябрь сентябре
    october oct oktober octobre octubre outubro ottobre октября октябрь октябре
    november nov novembre noviembre novembro ноября ноябрь ноябре
    december dec dezember decembre diciembre dezembro dicembre декабря декабрь декабре
"""
MONTHS = {
    name: number for number, names in enumerate(_MONTHS.strip().splitlines(), 1) for name in names.split()
}

# What English words lose, by what takes its place.
_NOTHING = """
    s es ed er ers or ors ing ings ly ingly edly al ally ful fully fulness ous ously ousness ive ives ively
    iveness ion ions ation ations ate ates ated ating ator ators ment ments ness nesses ity ities able ably
    ible ibly ance ances ence ences ant ent ants ents
"""
_IC = "ical ically ication ications icate icated icating"
_IZ = "ization izations isation isations ize ise izes ises ized ised izing ising izer iser"
_Y = "ies ied ier iest ily iness"
ENDINGS = {
    ending: instead
    for instead, endings in (("", _NOTHING), ("ic", _IC), ("iz", _IZ), ("y", _Y))
    for ending in endings.split()
}

# English words that change inside, each line the forms of one.
_IRREGULAR = """
    be am is are was were been being / become became / begin began begun / bind bound / break broke broken
    bring brought / build built / buy bought / catch caught / child children / choose chose chosen
    come came / do did does done / draw drew drawn / drink drank drunk / drive drove driven / eat ate eaten
    fall fell fallen / feel felt / fight fought / find found / fly flew flown / foot feet
    forget forgot forgotten / get got gotten / give gave given / go went gone goes / grow grew grown
    have had has having / hear heard / hide hid hidden / hold held / keep kept / know knew known / lead led
    leave left / lend lent / lose lost / make made / man men / mean meant / meet met / mouse mice / pay paid
    person people / ride rode ridden / ring rang rung / rise rose risen / run ran / say said / see saw seen
    seek sought / sell sold / send sent / shake shook shaken / shoot shot / show shown / sing sang sung
    sit sat / sleep slept / speak spoke spoken / spend spent / stand stood / steal stole stolen
    swim swam swum / take took taken / teach taught / tell told / think thought / throw threw thrown
    tooth teeth / understand understood / wake woke woken / wear wore worn / wife wives / win won
    woman women / write wrote written
"""
IRREGULAR = {
    form: words[0]
    for words in (words.split() for words in re.split("[/\n]", _IRREGULAR))
    for form in words[1:]
}


@attrs.frozen
class Script:
    """How words of a script change: what stands before and after them, the usual first."""

    first: str
    last: str
    prefixes: tuple[str, ...]
    endings: tuple[str, ...]


def _make_script(first: str, last: str, endings: str, prefixes: str = "") -> Script:
    return Script(first, last, tuple(prefixes.split()), tuple(endings.split()))


# English first, then what German, Dutch, French, Spanish, Portuguese and Italian share with one another.
LATIN = _make_script("a", "z", "s ed ing e es er ion y ies en n ers ation ings a o")
SCRIPTS = (
    _make_script("\u0370", "\u03ff", "ος ου ο α ας ες η ης ων οι ους"),
    _make_script("\u0400", "\u04ff", "а у ы и е ой ом ов ам ах ами я ю ей ем ый ая"),
    _make_script("\u0590", "\u05ff", "ים ות ה", "ה ב ל מ ו ש"),
    _make_script("\u0600", "\u06ff", "ة ات ين ون ي ه ها", "ال و وال بال لل ب ل"),
    _make_script("\uac00", "\ud7af", "은 는 이 가 을 를 의 에 도 로 에서"),
)
