"""The words of the embedded corpus: tables only, every entry English first, then German.

English does not mark what German must (a teacher is a Lehrerin here, always), so each English word has one German word.
"""

from __future__ import annotations

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun of both languages; gender is m, f or n, and weak nouns give their other singular cases."""

    english: str
    english_plural: str
    german: str
    german_plural: str
    gender: str
    weak: str = ""  # accusative, dative and genitive singular of nouns such as der Junge, den Jungen
    genitive: str = ""  # masculine and neuter people, whose things can be named


class Verb(NamedTuple):
    """A verb of both languages; the German forms are those of ich, er and the participle, without the prefix."""

    english: str
    third: str
    past: str
    participle: str
    infinitive: str
    first: str
    er: str
    german_participle: str
    prefix: str = ""
    auxiliary: str = "haben"


# American spelling throughout, as CLDR's "en" has it.
PEOPLE = [
    Noun("woman", "women", "Frau", "Frauen", "f"),
    Noun("man", "men", "Mann", "Männer", "m", genitive="Mannes"),
    Noun("boy", "boys", "Junge", "Jungen", "m", weak="Jungen"),
    Noun("child", "children", "Kind", "Kinder", "n", genitive="Kindes"),
    Noun("teacher", "teachers", "Lehrerin", "Lehrerinnen", "f"),
    Noun("doctor", "doctors", "Ärztin", "Ärztinnen", "f"),
    Noun("neighbor", "neighbors", "Nachbar", "Nachbarn", "m", weak="Nachbarn"),
]
FAMILY = [
    Noun("mother", "mothers", "Mutter", "Mütter", "f"),
    Noun("father", "fathers", "Vater", "Väter", "m", genitive="Vaters"),
    Noun("sister", "sisters", "Schwester", "Schwestern", "f"),
    Noun("brother", "brothers", "Bruder", "Brüder", "m", genitive="Bruders"),
]
LARGE_THINGS = [
    Noun("bicycle", "bicycles", "Fahrrad", "Fahrräder", "n"),
    Noun("car", "cars", "Auto", "Autos", "n"),
]
SMALL_THINGS = [
    Noun("lamp", "lamps", "Lampe", "Lampen", "f"),
    Noun("chair", "chairs", "Stuhl", "Stühle", "m"),
    Noun("book", "books", "Buch", "Bücher", "n"),
    Noun("suitcase", "suitcases", "Koffer", "Koffer", "m"),
    Noun("bag", "bags", "Tasche", "Taschen", "f"),
]
CLOTHES = [
    Noun("dress", "dresses", "Kleid", "Kleider", "n"),
    Noun("hat", "hats", "Hut", "Hüte", "m"),
    Noun("jacket", "jackets", "Jacke", "Jacken", "f"),
]
FOOD = [
    Noun("apple", "apples", "Apfel", "Äpfel", "m"),
    Noun("pear", "pears", "Birne", "Birnen", "f"),
    Noun("egg", "eggs", "Ei", "Eier", "n"),
]
BAKED = [
    Noun("cake", "cakes", "Kuchen", "Kuchen", "m"),
    Noun("pizza", "pizzas", "Pizza", "Pizzen", "f"),
]
ANIMALS = [
    Noun("dog", "dogs", "Hund", "Hunde", "m"),
    Noun("cat", "cats", "Katze", "Katzen", "f"),
    Noun("horse", "horses", "Pferd", "Pferde", "n"),
]
EVENTS = [
    Noun("concert", "concerts", "Konzert", "Konzerte", "n"),
    Noun("film", "films", "Film", "Filme", "m"),
    Noun("meeting", "meetings", "Sitzung", "Sitzungen", "f"),
]
VEHICLES = [
    Noun("train", "trains", "Zug", "Züge", "m"),
    Noun("ship", "ships", "Schiff", "Schiffe", "n"),
]
ROOMS = [  # one can be in them, walk into them and come out of them
    Noun("garden", "gardens", "Garten", "Gärten", "m"),
    Noun("kitchen", "kitchens", "Küche", "Küchen", "f"),
    Noun("house", "houses", "Haus", "Häuser", "n"),
    Noun("library", "libraries", "Bibliothek", "Bibliotheken", "f"),
    Noun("park", "parks", "Park", "Parks", "m"),
]
STOPS = [  # one walks to them: zum, zur
    Noun("market", "markets", "Markt", "Märkte", "m"),
    Noun("station", "stations", "Bahnhof", "Bahnhöfe", "m"),
    Noun("school", "schools", "Schule", "Schulen", "f"),
    Noun("museum", "museums", "Museum", "Museen", "n"),
]

# Adjectives: English, German stem as it is declined; the predicate differs where PREDICATES says so.
ADJECTIVES = {
    "red": "rot",
    "green": "grün",
    "blue": "blau",
    "old": "alt",
    "new": "neu",
    "small": "klein",
    "big": "groß",
    "beautiful": "schön",
    "expensive": "teur",
    "cheap": "billig",
    "young": "jung",
    "friendly": "freundlich",
}
PREDICATES = {"expensive": "teuer"}
THING_ADJECTIVES = ["red", "green", "blue", "old", "new", "small", "big", "beautiful", "cheap", "expensive"]
PERSON_ADJECTIVES = ["old", "young", "friendly"]
FOOD_ADJECTIVES = ["small", "big", "cheap", "expensive"]
ANIMAL_ADJECTIVES = ["old", "young", "small", "big", "beautiful"]
MOODS = {"tired": "müde", "sick": "krank", "hungry": "hungrig", "happy": "glücklich"}
COMPARATIVES = {
    "older": "älter",
    "newer": "neuer",
    "smaller": "kleiner",
    "bigger": "größer",
    "cheaper": "billiger",
    "more expensive": "teurer",
    "more beautiful": "schöner",
}

BUY = Verb("buy", "buys", "bought", "bought", "kaufen", "kaufe", "kauft", "gekauft")
SELL = Verb("sell", "sells", "sold", "sold", "verkaufen", "verkaufe", "verkauft", "verkauft")
FIND = Verb("find", "finds", "found", "found", "finden", "finde", "findet", "gefunden")
SEEK = Verb("look for", "looks for", "looked for", "looked for", "suchen", "suche", "sucht", "gesucht")
SEE = Verb("see", "sees", "saw", "seen", "sehen", "sehe", "sieht", "gesehen")
REPAIR = Verb("repair", "repairs", "repaired", "repaired", "reparieren", "repariere", "repariert", "repariert")
FETCH = Verb("pick up", "picks up", "picked up", "picked up", "holen", "hole", "holt", "geholt", "ab")
DISCARD = Verb("throw away", "throws away", "threw away", "thrown away", "werfen", "werfe", "wirft", "geworfen", "weg")
TRY_ON = Verb("try on", "tries on", "tried on", "tried on", "probieren", "probiere", "probiert", "probiert", "an")
EAT = Verb("eat", "eats", "ate", "eaten", "essen", "esse", "isst", "gegessen")
VISIT = Verb("visit", "visits", "visited", "visited", "besuchen", "besuche", "besucht", "besucht")
CALL = Verb("call", "calls", "called", "called", "rufen", "rufe", "ruft", "gerufen", "an")
INVITE = Verb("invite", "invites", "invited", "invited", "laden", "lade", "lädt", "geladen", "ein")
HELP = Verb("help", "helps", "helped", "helped", "helfen", "helfe", "hilft", "geholfen")
GIVE = Verb("give", "gives", "gave", "given", "geben", "gebe", "gibt", "gegeben")
SHOW = Verb("show", "shows", "showed", "shown", "zeigen", "zeige", "zeigt", "gezeigt")
SLEEP = Verb("sleep", "sleeps", "slept", "slept", "schlafen", "schlafe", "schläft", "geschlafen")
WORK = Verb("work", "works", "worked", "worked", "arbeiten", "arbeite", "arbeitet", "gearbeitet")
PLAY = Verb("play", "plays", "played", "played", "spielen", "spiele", "spielt", "gespielt")
LIVE = Verb("live", "lives", "lived", "lived", "wohnen", "wohne", "wohnt", "gewohnt")
GO = Verb("go", "goes", "went", "gone", "gehen", "gehe", "geht", "gegangen", auxiliary="sein")
COME = Verb("come", "comes", "came", "come", "kommen", "komme", "kommt", "gekommen", auxiliary="sein")
TRAVEL = Verb("travel", "travels", "traveled", "traveled", "reisen", "reise", "reist", "gereist", auxiliary="sein")
FLY = Verb("fly", "flies", "flew", "flown", "fliegen", "fliege", "fliegt", "geflogen", auxiliary="sein")
DEPART = Verb(
    "depart", "departs", "departed", "departed", "fahren", "fahre", "fährt", "gefahren", "ab", auxiliary="sein"
)
ARRIVE = Verb("arrive", "arrives", "arrived", "arrived", "kommen", "komme", "kommt", "gekommen", "an", auxiliary="sein")
BEGIN = Verb("begin", "begins", "began", "begun", "beginnen", "beginne", "beginnt", "begonnen")
END = Verb("end", "ends", "ended", "ended", "enden", "ende", "endet", "geendet")
OPEN = Verb("open", "opens", "opened", "opened", "öffnen", "öffne", "öffnet", "geöffnet")
CLOSE = Verb("close", "closes", "closed", "closed", "schließen", "schließe", "schließt", "geschlossen")
SPEAK = Verb("speak", "speaks", "spoke", "spoken", "sprechen", "spreche", "spricht", "gesprochen")
LEARN = Verb("learn", "learns", "learned", "learned", "lernen", "lerne", "lernt", "gelernt")
COST = Verb("cost", "costs", "cost", "cost", "kosten", "koste", "kostet", "gekostet")
TRY = Verb("try", "tries", "tried", "tried", "versuchen", "versuche", "versucht", "versucht")
HOPE = Verb("hope", "hopes", "hoped", "hoped", "hoffen", "hoffe", "hofft", "gehofft")
KNOW = Verb("know", "knows", "knew", "known", "wissen", "weiß", "weiß", "gewusst")
SAY = Verb("say", "says", "said", "said", "sagen", "sage", "sagt", "gesagt")
BELIEVE = Verb("believe", "believes", "believed", "believed", "glauben", "glaube", "glaubt", "geglaubt")
RAIN = Verb("rain", "rains", "rained", "rained", "regnen", "regne", "regnet", "geregnet")
