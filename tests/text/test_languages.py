import itertools
import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import ConfigError
from regard.text.frequent_words import RIVALS, WORDS
from regard.text.languages import ALONE, MOST_CHARACTERS, MOST_TEXTS, code_of, name_of, recognise, unspaced

FLORES = Path(os.environ.get("REGARD_DATA", "data")) / "flores"
needs_flores = pytest.mark.skipif(not FLORES.is_dir(), reason="REGARD_DATA names no folder with flores in it")
IN_FLORES = ["ar", "cs", "de", "en", "es", "fi", "fr", "hi", "hu", "it", "ja", "ko", "nl", "pl", "pt", "ro", "ru", "sv"]
IN_FLORES += ["tr", "uk", "zh"]

SPANISH = """
Mi hermano vive en una casa cerca del mar.
¿Dónde está la estación de tren?
No sé si vamos a llegar a tiempo.
La niña come una manzana en el jardín.
Hace mucho frío por las mañanas.
El perro duerme debajo de la mesa.
Ella trabaja en un hospital muy grande.
Quiero comprar un regalo para mi madre.
Los niños juegan con la pelota.
Mañana voy al médico con mi padre.
Este libro es más interesante que el otro.
Me gusta el café, pero sin azúcar.
La tienda está cerrada los domingos.
¿Cuánto cuesta este vestido?
Mis amigos llegan a las ocho.
Se me olvidó la llave en casa.
El tren sale de la vía dos.
Ya no tengo hambre.
Las flores son para la abuela.
Todos estaban contentos con la fiesta.
Él no quiere ir al colegio.
Hay un problema con la puerta.
Te llamo cuando llegue al hotel.
Su hija estudia en la universidad.
""".strip().split("\n")

TEXTS = {
    "es": SPANISH,
    "de": """
        Am Morgen ging ich mit dem Hund in den Wald, und es war noch ganz still.
        Die Nachbarin hatte mir gesagt, dass auf der anderen Seite ein neuer Weg gebaut wird.
        Ich habe ihn nicht gefunden, aber das war mir auch egal.
        Wir sind dann zu einem kleinen See gelaufen, der im Winter oft zufriert.
        Dort saß ein alter Mann auf einer Bank und las in seiner Zeitung.
        Er sah uns an, als ob er noch nie einen Hund gesehen hätte, und fragte, wie alt er ist.
    """,
    "en": """
        When I was a child, we lived in a small house at the end of the road.
        My father had a garden, and he grew more beans than we could eat.
        On Sundays the whole family would sit at the table and talk about what they had done that week.
        I did not always listen, but I remember the sound of it.
        There was a clock on the wall which had not worked for years, and nobody wanted to take it down.
    """,
    "fr": """
        Hier soir, nous avons mangé dans un petit restaurant qui se trouve au bord de la rivière.
        Le patron est un homme très gentil, mais il ne parle pas beaucoup.
        Il nous a servi une soupe de poisson avec du pain, et je crois que c'est la meilleure de la ville.
        Ma sœur n'aime pas le poisson, elle a donc pris une salade.
        Après le repas, on est rentrés à pied par les quais, sous la pluie.
    """,
    "it": """
        La mattina mi alzo presto, perché il treno per Milano parte alle sei e un quarto.
        Mia moglie dice che non è normale, ma io non ho mai avuto bisogno di dormire molto.
        Alla stazione prendo un caffè con i colleghi e parliamo della partita del giorno prima.
        Il viaggio dura un'ora e di solito leggo il giornale o guardo fuori dal finestrino.
        La sera torno a casa con lo stesso treno, che è sempre in ritardo.
    """,
    "pt": """
        A minha avó morava numa casa com um quintal muito grande, e nós íamos lá todos os domingos.
        Ela fazia um bolo de laranja que não tinha igual, mas nunca deu a receita a ninguém.
        Os meus primos e eu subíamos às árvores para apanhar fruta, e depois ficávamos com dores de barriga.
        O meu avô não dizia nada, só lia o jornal e ouvia as notícias na rádio.
        Hoje a casa já não é nossa, mas ainda passo por lá quando vou ao mercado.
    """,
    "nl": """
        Mijn opa had vroeger een fiets die ouder was dan hijzelf, en hij ging er elke dag mee naar zijn werk.
        Toen hij niet meer kon fietsen, heeft hij hem aan mij gegeven.
        Ik heb er nog een jaar op gereden, maar het is een zware fiets en de remmen deden het niet.
        Nu staat hij in de schuur, achter de dozen van mijn zus.
        Als het mooi weer is, wil ik hem weer eens proberen.
    """,
    "sv": """
        I somras åkte vi till en ö i skärgården där det inte fanns någon el.
        Vi bodde i ett litet hus som min morbror hade byggt, och varje morgon badade vi i havet.
        Det var kallt, men man vande sig efter några dagar.
        På kvällarna spelade vi kort eller läste vid ett ljus, och jag har aldrig sovit så bra.
        När vi kom hem igen var det för mycket ljud från alla bilar.
    """,
    "da": """
        Min søster har købt et gammelt hus på landet, og nu bruger hun al sin tid på at male det.
        Jeg var ude hos hende i sidste uge, og vi arbejdede til langt ud på aftenen.
        Der er ikke meget tilbage af det tapet, som de tidligere ejere havde sat op.
        Efter maden gik vi en tur ned til åen, hvor vi så en hejre.
        Hun siger, at hun aldrig vil flytte tilbage til byen, og det kan jeg godt forstå af den udsigt.
        Jeg blev der om natten og tog toget hjem efter frokost.
    """,
    "no": """
        Søsteren min har kjøpt et gammelt hus på landet, og nå bruker hun all sin tid på å male det.
        Jeg var ute hos henne forrige uke, og vi arbeidet til langt på kveld.
        Det er ikke mye igjen av tapetet som de tidligere eierne hadde satt opp.
        Etter maten gikk vi en tur ned til elva, hvor vi så en hegre.
        Hun sier at hun aldri vil flytte tilbake til byen, og det kan jeg godt forstå etter å ha sett utsikten.
        Jeg ble der om natten og tok toget hjem etter frokost.
    """,
    "pl": """
        Kiedy byłem mały, mój dziadek opowiadał mi o wojnie, ale nie wszystko z tego rozumiałem.
        Mówił, że najgorszy był głód i że do dziś nie może patrzeć na brukiew.
        Po obiedzie zawsze siadał przy oknie i słuchał radia, bo telewizji nie lubił.
        Raz w roku jechaliśmy z nim na cmentarz, żeby zapalić znicze na grobach jego braci.
        To był dla niego ważny dzień i nikt się wtedy nie śmiał.
        Teraz ja jeżdżę tam co roku, a moje dzieci pytają, kim oni są.
    """,
    "cs": """
        Když jsme se přestěhovali do Brna, neznali jsme tam vůbec nikoho.
        První týden pršelo a já jsem seděla doma u okna a dívala se na ulici.
        Potom k nám přišla sousedka, která přinesla koláč a řekla, že se máme přijít podívat na její zahradu.
        Od té doby jsme se s ní vídali skoro každý den a bylo to hezké.
        Naučila mě, jak se pěstují rajčata, ale moje nikdy nebyla tak velká jako ta její.
        Už je to dávno, co se odstěhovala, a pořád na ni myslím.
    """,
    "fi": """
        Viime kesänä olimme mökillä kolme viikkoa, ja joka päivä satoi.
        Lapset eivät välittäneet siitä, vaan he kävivät uimassa niin kuin aina.
        Minä luin kirjoja ja keitin kahvia, koska muuta tekemistä ei juuri ollut.
        Isäni sanoi, että ennen kesät olivat lämpimiä, mutta hän on aina sanonut niin.
        Kun aurinko sitten paistoi, oli jo aika lähteä kotiin.
        Se oli silti hyvä loma, ja ensi vuonna menemme sinne taas.
        En tiedä, onko siellä silloin parempi sää, mutta se ei ole tärkeää.
        Tärkeää on vain se, että kaikki ovat mukana ja että sauna on lämmin.
    """,
    "hu": """
        A nagymamám minden vasárnap húslevest főzött, és az egész család nála ebédelt.
        Ha valaki nem tudott jönni, az nagyon szomorú volt, de ő nem szólt semmit.
        Ebéd után a férfiak kártyáztak, mi pedig a kertben játszottunk, amíg meg nem jött az este.
        Egy nyáron olyan sok szilva volt a fán, hogy még a szomszédok is abból főztek lekvárt.
        Most már nincs meg a ház, csak a fa áll ott az út mellett.
    """,
    "tr": """
        Geçen yıl bu mahalleye taşındık ve ilk günlerde kimseyi tanımıyorduk.
        Karşı dairede yaşlı bir kadın oturuyor, her sabah balkonda çay içiyor ve bize el sallıyor.
        Bir gün kapıyı çaldı, elinde bir tabak börek vardı, çok güzel bir börekti.
        O günden sonra annem de ona yemek götürmeye başladı.
        Şimdi onunla her hafta görüşüyoruz, ama ne yazık ki kulakları çok iyi duymuyor.
        Bu yüzden onun için her şeyi iki kere söylemek gerekiyor, ya da daha yüksek sesle.
    """,
    "ru": """
        Когда мы жили в деревне, у нас была корова, и я каждое утро пил тёплое молоко.
        Бабушка говорила, что от этого я вырасту большим, но я так и не вырос.
        По вечерам мы сидели на крыльце и смотрели, как за рекой садится солнце.
        Дед рассказывал о войне, только не всё, и мы не спрашивали его о том, чего он не хотел вспоминать.
        Это было давно, а я до сих пор помню, как пахло сено.
    """,
    "uk": """
        Коли ми жили в селі, у нас була корова, і я щоранку пив тепле молоко.
        Бабуся казала, що від цього я виросту великим, але я так і не виріс.
        Увечері ми сиділи на ґанку й дивилися, як за річкою сідає сонце.
        Дід розповідав про війну, та не все, і ми не питали його про те, чого він не хотів згадувати.
        Це було давно, а я й досі пам'ятаю, як пахло сіно на горищі, бо там ми з братом спали.
    """,
    "bg": """
        Когато живеехме на село, имахме крава и аз всяка сутрин пиех топло мляко.
        Баба ми казваше, че от него ще стана голям, но аз така и не пораснах.
        Вечер седяхме на прага и гледахме как слънцето залязва зад реката.
        Дядо ни разказваше за войната, но не всичко, и ние не го питахме за това, което той не искаше да си спомня.
        Беше много отдавна, а още помня как мирише сеното, в което спяхме с брат ми.
    """,
    "he": """
        כשהייתי ילד גרנו בבית קטן ליד הים, ואבא שלי היה יוצא כל בוקר לדוג.
        לא תמיד הוא חזר עם דגים, אבל הוא אף פעם לא היה עצוב.
        אמא אמרה כי הים הוא כמו אדם, יש לו ימים טובים ויש לו ימים רעים.
        אני לא הבנתי את זה אז, אבל היום אני חושב על זה הרבה.
        כל שנה אני נוסע לשם עם הילדים שלי, גם אם יש גשם או רוח.
        הבית כבר לא שם, רק העץ הגדול של השכנים, וגם הוא זקן מאוד.
        הם שואלים אותי מה אני מחפש שם, ואין לי מה לומר.
    """,
    "ar": """
        كنت أسكن مع جدي في بيت صغير على أطراف المدينة، وكان يحكي لي كل ليلة حكاية عن البحر.
        لم أكن أعرف أن هذه الحكايات كانت عن حياته هو، قبل أن يأتي إلى هنا.
        بعد سنوات سألت أبي عن ذلك، فقال إن جدي لا يتحدث عن الماضي إلا مع الأطفال.
        في الصيف كنا نجلس على السطح، حيث الهواء بارد، ثم ننام تحت النجوم.
        لا أحد يعيش في البيت الآن، لكن كل ما كان فيه ما زال كما تركه، من الكتب إلى الساعة التي على الحائط.
    """,
    "fa": """
        وقتی که بچه بودم، در خانه‌ای کوچک در کنار رودخانه زندگی می‌کردیم و پدرم هر روز با دوچرخه به کار می‌رفت.
        مادرم می‌گفت که این خانه برای ما کوچک است، اما من آن را دوست داشتم.
        شب‌ها همه با هم بر روی بام می‌خوابیدیم و به ستاره‌ها نگاه می‌کردیم.
        پدربزرگم از سفرهای خود داستان می‌گفت و ما تا نیمه‌شب بیدار می‌ماندیم.
        آن خانه را سال‌ها پیش خراب کردند، ولی من هنوز بوی باغ را به یاد دارم.
    """,
    "hi": """
        जब मैं छोटा था, तो हम गाँव में रहते थे और मेरे दादा हर शाम हमें एक कहानी सुनाते थे।
        उस समय घर में बिजली नहीं थी, इसलिए हम दीये की रोशनी में बैठते थे।
        मेरी माँ को यह पसंद नहीं था कि हम इतनी देर तक जागते हैं, पर वह कुछ नहीं कहती थी।
        अब मैं शहर में काम करता हूँ और साल में एक बार गाँव जाता हूँ।
        वह घर आज भी वैसा ही है, और उस पेड़ के नीचे अब भी बच्चे खेलते हैं।
    """,
    "ja": """
        子供のころ、私は海の近くの小さな町に住んでいました。
        毎朝、父は船で魚をとりに行きました。
        母はいつも窓から海を見て、父の帰りを待っていました。
        今は東京で働いていますが、夏になると必ずその町に帰ります。
    """,
    "zh": """
        小时候我们住在海边的一个小镇上，每天早上父亲都会出海打鱼。
        他不是每次都能带鱼回来，但是他从来没有不高兴过。
        母亲说大海和人一样，有好的日子，也有坏的日子。
        我现在在城里工作，可是每年夏天都要回去看一看，那里的房子已经没有了。
    """,
    "ko": """
        어렸을 때 우리는 바닷가의 작은 마을에서 살았습니다.
        아버지는 매일 아침 배를 타고 고기를 잡으러 나가셨습니다.
        어머니는 언제나 창가에 앉아서 아버지를 기다리셨습니다.
        지금은 서울에서 일하지만 여름이 되면 꼭 그 마을로 돌아갑니다.
    """,
    "el": """
        Όταν ήμουν μικρός, μέναμε σε ένα σπίτι δίπλα στη θάλασσα.
        Ο πατέρας μου έβγαινε κάθε πρωί για ψάρεμα και γύριζε το μεσημέρι.
        Η μητέρα μου τον περίμενε πάντα στο παράθυρο και κοίταζε τα κύματα.
        Τώρα δουλεύω στην πόλη, αλλά κάθε καλοκαίρι γυρίζω εκεί.
    """,
    "th": """
        ตอนเด็กๆ เราอยู่ในบ้านหลังเล็กริมทะเล
        ทุกเช้าพ่อจะออกเรือไปหาปลา ส่วนแม่รออยู่ที่บ้าน
        ตอนนี้ฉันทำงานในเมือง แต่ทุกฤดูร้อนฉันก็กลับไปที่นั่น
        บ้านหลังนั้นไม่มีแล้ว เหลือแต่ต้นไม้ใหญ่ของเพื่อนบ้าน
        พ่อชอบเล่าเรื่องทะเลให้ฟังทุกคืน แต่ตอนนั้นฉันยังไม่เข้าใจ
    """,
}

DANISH_OR_NORWEGIAN = """
Det er en god dag for alle som har tid.
Han har en bror i Bergen, og de har en hund.
Vi kan komme i morgen med en stor kage.
Hun var her i huset med sin mor og sin far.
Den er for dyr for dem, og det er de som har bil.
Jeg har det godt, og jeg har tid til det.
De var ikke her, men vi kan spise om en time.
Om sommeren er det varmt i den store by, men han har det godt der.
Vi skal til Sverige og se om de har is.
"""

CROATIAN_OR_BOSNIAN = """
Moja sestra je kupila kuću na moru i sada je u njoj svaki dan.
Rekla je da ne želi više živjeti u gradu jer je tamo prevelika buka.
Mi smo bili kod nje prije dva dana, ali nije bila kod kuće.
Susjed nam je rekao da je otišla na pijacu i da će se vratiti do podne.
Sjeli smo pod drvo i čekali, a on nam je donio sok i kolače.
Kako je bilo vruće, to nam je bilo vrlo drago, i ostali smo do večeri.
"""


def lines(text: str | list[str]) -> list[str]:
    return text if isinstance(text, list) else [line.strip() for line in text.strip().split("\n")]


def alternating(*codes: str) -> list[str]:
    return [line for several in zip(*(lines(TEXTS[code]) for code in codes), strict=False) for line in several]


@pytest.mark.parametrize("code", TEXTS)
def test_a_page_of_clear_text_is_recognised(code):
    assert recognise(lines(TEXTS[code])) == code


@pytest.mark.parametrize("code", TEXTS)
def test_capitals_order_and_repetition_do_not_matter(code):
    assert recognise([line.upper() for line in reversed(lines(TEXTS[code]))] * 2) == code


def test_a_bare_string_is_one_text():
    assert recognise("\n".join(SPANISH)) == "es"


def test_a_generator_is_read_no_further_than_needed():
    taken = []

    def texts():
        for text in SPANISH * 1_000:
            taken.append(text)
            yield text

    assert recognise(texts()) == "es"
    assert len(taken) == MOST_TEXTS


def test_a_long_text_is_looked_at_from_its_beginning():
    page = "\n".join(SPANISH) + "\n"
    spanish = page * (MOST_CHARACTERS // len(page) + 1)
    assert recognise([spanish + "the end of it is in English " * 100_000, "and so on"]) == "es"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["", " "],
        ["1, 2, 3", "!!!"],
        SPANISH[:3],
        ["Haus", "Hund", "Katze", "Maus", "Baum", "Fenster", "Straße", "Wasser", "Feuer", "Stuhl"] * 20,
        ["AX-2231 B", "KL-88 de", "ZZ-010 la", "MX en 4", "QR-17 un"] * 50,
        ["東京", "京都", "大阪", "神戸", "名古屋", "日本橋", "北海道"] * 30,
        ["de la"] * 200,  # frequent words, but always the same
        ["lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et"] * 20,
        ["Ang batang lalaki misulod sa balay ug mikaon sa mga saging nga gikan sa iyang lola"] * 20,
    ],
    ids=["nothing", "empty", "no letters", "three", "nouns", "products", "kanji", "repeated", "lorem", "unknown"],
)
def test_what_is_not_safe_is_not_answered(texts):
    assert recognise(texts) is None


@pytest.mark.parametrize(
    "codes", ["en de", "es pt", "ru uk", "zh ja", "en th", "zh en", "no da", "pl cs", "en fr de", "ar fa"]
)
def test_a_mixture_is_not_answered(codes):
    assert recognise(alternating(*codes.split())) is None


@pytest.mark.parametrize("code", ["de", "ru", "zh", "ja", "ar"])
def test_a_few_lines_of_another_language_change_nothing(code):
    assert recognise(lines(TEXTS[code]) * 4 + lines(TEXTS["en"])[:2]) == code


@pytest.mark.parametrize("text", [DANISH_OR_NORWEGIAN, CROATIAN_OR_BOSNIAN], ids=["da, no", "hr, bs"])
def test_what_two_close_languages_share_is_not_answered(text):
    assert recognise(lines(text)) is None


def test_serbian_is_recognised_in_both_scripts():
    cyrillic = """
        Моја сестра је купила кућу на мору и сада је у њој сваки дан.
        Рекла је да не жели више да живи у граду јер је тамо превелика бука.
        Ми смо били код ње пре два дана, али није била код куће, него негде где је нисмо могли наћи.
        Комшија нам је рекао да је отишла на пијацу и да ће се вратити до подне.
        Како је било вруће, то нам је било врло драго, и остали смо до вечери.
    """
    latin = """
        Ko zna šta bi bilo da smo pre tri godine ostali u Beogradu, gde smo oboje radili.
        Posle toga smo živeli na selu, i to je bilo lepo vreme, ali smo uvek mislili na grad.
        Šta god da smo radili, ko god da nam je došao, pričali smo o tome.
        Moj brat je takođe otišao, ali pre nas, i posle dve godine se vratio.
        Sada smo svi ovde, i ne znam šta će biti posle, ali mi je dobro gde sam.
    """
    assert recognise(lines(cyrillic)) == recognise(lines(latin)) == "sr"


def test_marks_written_apart_are_put_together_first():
    apart = [unicodedata.normalize("NFD", line) for line in lines(TEXTS["cs"])]
    assert apart != lines(TEXTS["cs"])
    assert recognise(apart) == "cs"


def test_assamese_is_not_taken_for_bengali():
    bengali = ["আমি যখন ছোট ছিলাম তখন আমরা গ্রামে থাকতাম আর বাবা প্রতিদিন নদীতে মাছ ধরতেন"] * 5
    assamese = ["মই যেতিয়া সৰু আছিলোঁ তেতিয়া আমি গাঁৱত আছিলোঁ আৰু দেউতাই প্ৰতিদিনে নদীত মাছ ধৰিছিল"] * 5
    assert recognise(bengali) == "bn"
    assert recognise(assamese) is None


def test_cantonese_is_not_taken_for_mandarin():
    assert recognise(["佢哋琴日喺度食咗飯，我唔知佢哋而家去咗邊，你知唔知呀？我哋都係冇嘢做。"] * 10) is None


@given(st.lists(st.text(max_size=40), max_size=20))
def test_any_text_gets_an_answer_without_an_error(texts):
    assert recognise(texts) is None or len(texts) > 0
    assert isinstance(unspaced(texts), bool)


@needs_flores
@pytest.mark.parametrize("code", IN_FLORES)
def test_real_text_is_recognised_whole_and_never_wrongly_in_samples(code):
    text = (FLORES / f"flores-dev.{code}").read_text(encoding="utf-8").split("\n")[:-1]
    assert recognise(text) == code
    generator = random.Random(7)
    answers = [recognise(generator.sample(text, 24)) for _ in range(40)]
    assert set(answers) <= {code, None}
    assert answers.count(None) <= 4


@needs_flores
@pytest.mark.parametrize(("one", "other"), list(itertools.pairwise(IN_FLORES)))
def test_real_text_of_two_languages_is_not_answered(one, other):
    texts = [(FLORES / f"flores-dev.{code}").read_text(encoding="utf-8").split("\n")[:200] for code in (one, other)]
    assert recognise(texts[0] + texts[1]) is None


# --- codes and names ---


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("de", "de"),
        ("DE", "de"),
        (" de ", "de"),
        ("pt-br", "pt-BR"),
        ("PT_BR", "pt-BR"),
        ("zh_hant", "zh-Hant"),
        ("zh-Hans-CN", "zh-Hans-CN"),
        ("sr-latn", "sr-Latn"),
        ("de-1996", "de-1996"),
        ("gsw", "gsw"),
        ("iw", "he"),
        ("deu", "de"),
        ("eng_Latn", "en"),
        ("arb_Arab", "ar"),
        ("cmn", "zh"),
        ("nb", "nb"),
        ("German", "de"),
        ("german", "de"),
        ("NORWEGIAN  Bokmål", "nb"),
        ("Thai", "th"),
        ("Lao", "lo"),
    ],
)
def test_a_code_is_kept_in_one_spelling(given_, kept):
    assert code_of(given_) == kept
    assert code_of(kept) == kept


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("germn", "language is 'germn': not a language code; did you mean German (de)?"),
        ("Deutsch", "language is 'Deutsch': not a language code; did you mean German (de)?"),
        ("jp", "language is 'jp': not a language code; did you mean Japanese (ja)?"),
        ("Farsi", "language is 'Farsi': not a language code; did you mean Persian (fa)?"),
        (
            "xx",
            (
                "language is 'xx': not a language code; "
                "expected one such as 'de' or 'pt-BR', or an English name such as 'German'."
            ),
        ),
    ],
)
def test_an_unknown_language_is_refused_with_the_nearest(name, message):
    with pytest.raises(ConfigError) as caught:
        code_of(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "name",
    ["", "zzz", "qqqqq", "de-", "de-XXX", "de-x-mine", "d", "und", "mul", "x-mine", "C.UTF-8", "de/en", "ф", "de" * 99],
)
def test_nonsense_is_refused(name):
    with pytest.raises(ConfigError, match="not a language code"):
        code_of(name)


def test_what_stands_in_a_message_is_printable():
    with pytest.raises(ConfigError) as caught:
        code_of("\x1b[31m" + "é" * 500)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def recognisable() -> list[str]:
    tables = [entry.split()[0] for table in WORDS.values() for entry in table.split("\n") if entry[:1].strip()]
    return sorted({*tables, *ALONE.values(), "ja", "zh"})


@pytest.mark.parametrize("code", recognisable())
def test_every_language_that_is_recognised_has_a_name_and_a_code_that_is_kept(code):
    assert name_of(code) != code
    assert code_of(code) == code_of(name_of(code)) == code


def test_no_language_is_both_recognised_and_a_rival_in_one_script():
    for script, table in WORDS.items():
        codes = [entry.split()[0] for entry in (table + RIVALS[script]).split("\n") if entry[:1].strip()]
        assert len(codes) == len(set(codes))


def test_a_name_says_the_region_and_a_code_without_a_name_stays():
    assert [name_of(code) for code in ("de", "pt-BR", "gsw")] == ["German", "Portuguese (BR)", "gsw"]


# --- scripts without spaces ---


@pytest.mark.parametrize("code", ["ja", "zh", "th"])
def test_scripts_without_spaces_are_known(code):
    assert unspaced(lines(TEXTS[code]))


@pytest.mark.parametrize("code", ["de", "ru", "ko", "hi", "ar"])
def test_scripts_with_spaces_are_known(code):
    assert not unspaced(lines(TEXTS[code]))


@pytest.mark.parametrize("text", ["ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာဘာသာ", "བོད་སྐད", "カタカナ", "ﾊﾝｶｸ", "𠀀𠀁"])
def test_each_script_without_spaces_counts(text):
    assert unspaced([text])


def test_more_than_half_of_the_letters_must_have_no_spaces():
    assert not unspaced([])
    assert not unspaced(["漢字 ab"])
    assert unspaced(["漢字語 ab 123456789"])
