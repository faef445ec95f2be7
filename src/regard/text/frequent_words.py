"""The most frequent words of many languages, and the letters of each, as plain data.

One entry per language: its ISO 639 code, its letters beyond those in `PLAIN_LETTERS` ("-" for none, or where letters
are not used), and its words. A line that begins with a space continues the entry above. All are lower-case, and words
end at an apostrophe: "l'eau" is "l" and "eau".
"""

LATIN = """
af áéèêëíîïóôöúûý die van en in is het nie wat te vir met op dat n aan om sy hy ek was as ook deur hulle dit sal kan
    maar uit word ons jy my daar sê nog toe moet
az çəğıöşü və bu ilə bir üçün də o da ki olan daha sonra kimi çox mən ən var deyil idi olaraq onun edir hər görə isə
ca àçéèíïóòúü de la i el que a en els un les per una amb del al és no més es va com dels o seu ha són però aquest
    aquesta seva l d s hi molt també fins on jo em
cs áčďéěíňóřšťúůýž a v se na je že s z do to o i ve jako za ale by po pro jsou k byl byla bylo jeho si který která nebo
    které už podle až jsem být také jen tak když co při této jejich více ze není mezi i u od bez mu ho jsme má
cy âêîôûŵŷïöáéàèẁỳ y yn a i o ar yr mae wedi ei ac am bod gan oedd fel eu hyn yw ni gyda ond hefyd roedd wrth neu dim
    bydd ddim nid hi mewn
da æøåé og i at det er en til af på for den med de som ikke et der har jeg han var om men fra vi hun sig kan blev efter
    skal havde eller meget også mig nu hvad du være da over så ved deres mere
de äöüß der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an er hat dass sie nach
    wird bei einer einem einen um am sind noch wie ich wir war haben aber so zum zur
en - the of and to a in is that it for was on with as he be his at by i this had not are but from or have an they you
    were she there we been has will if no so what her their which can
eo ĉĝĥĵŝŭ la de kaj en estas al ne por kun ke mi li tiu estis pri el ĝi sed kiu ili kiel sur aŭ per tio kiuj oni plej ĉi
es áéíñóúü de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin
    sobre este ya muy era son mi te está también
et äõöüšž ja on ei et see ka oli mis kui aga ta ning või seda selle oma kes siis välja pärast nii ma mida ole üle tema
    vaid olid mille nagu pole veel ja
eu ñü eta da ez bat du ere zen dira baina hori izan zuen egin dute dago bere dela den edo egiten duen ziren hau dituzte
    nik zuten beste bezala behar
fi äö ja on ei se että oli hän ovat mutta joka myös kun tai niin kuin ole mukaan vain jos sen hänen voi nyt jo jotka
    sekä olla tämä minä sinä mitä minun tämän noin jälkeen sitä kanssa vielä ole hyvin kuten
fil ñ ang ng sa na mga at ay ni si ito para hindi ko kung siya may nang ako isang kanyang mo ka dahil niya o kami nila
fr àâæçéèêëîïôùûüÿœ de la le et les des en un une du que est pour dans qui il a au par sur ne pas ce plus se sont avec
    son cette aux l d qu je nous vous elle mais ou été ont on
ga áéíóú an na agus a i ar le go is bhí do tá sé ag ní sa mar de bhfuil faoi siad leis ach atá chun den níl seo sin iad
gl áéíñóúü de a o que e do da en os un unha no na se por para con é non as como dos máis ao das súa seu foi pero polo
    tamén cando esta pola está ou á ó xa eu moi
hr čćđšž i u je se na da su za od s koji o ne kao što to iz bi ili ali nije koja a sam po do kako bio već tko tijekom
    prije gdje samo koje još biti smo također više bez uvijek ima može mu ni
hu áéíóöőúüű a az és hogy nem is egy ez van meg de csak volt már mint vagy azt el még ha ki én ezt lehet több kell sem
    majd pedig ő után mert szerint aki amely minden
id é yang dan di dengan untuk dari dalam ini pada tidak itu adalah akan oleh ke sebagai karena bahwa bisa mereka atau
    telah dia saya juga ada lebih anda saat dapat tersebut kami sudah
is áæðéíóöúýþ og að í er á sem en það við hann til um var ekki með af fyrir eru ég hún því eða hefur þetta frá þá þegar
    eftir hafa sé
it àèéìíòóùú di che la il e in per un è non a una i si le da con del della sono come al dei nel più alla lo gli ha ma l
    anche dal questo delle mi nella ho su
lt ąčęėįšųūž ir yra į kad su iš tai buvo o ne apie kaip jis bet ar dėl nuo už jo po taip ji prie tik dar man aš kas
    tačiau būti per jų arba
lv āčēģīķļņšūž un ir ar no uz par kas ka viņš bet tika bija vai kā to tas pie lai arī nav pēc es ja tā gan līdz tad jau
    viņa tiek
ms é yang dan di dengan untuk dari dalam ini pada tidak itu adalah akan oleh ke sebagai kerana bahawa boleh mereka atau
    telah dia saya juga ada lebih anda daripada ialah tersebut kami sudah iaitu
mt ċġħżàèìòù li ta u il fil tal ma biex din huwa dan hija minn kull fuq l dwar għal hemm jew lill jista kienet kien mill
nl áéèëïóöü de van een het en in is dat op te zijn met voor niet aan er om ook als dan maar bij of uit nog worden door
    naar heeft hij zij ze wordt werd ik je was deze hebben we
no æøåéòôê og i det er på som en til av for at med de den ikke har et jeg han om var men fra vi hun seg kan ble etter
    skal hadde eller også meg være så ved nå du der over mer
pl ąćęłńóśźż w i na z się do nie że to jest o jak za po od przez co ale są dla oraz ze czy był tym być jego także które
    który a tak już jako tego może ma lub roku było mnie jej bardzo
pt áâãàçéêíóôõúü de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das à seu
    sua ou ser são pela pelo eu isso está você muito também
ro ăâîșțşţ de și în a la cu pe o din că nu care un se este mai pentru sau ce au fost prin am sunt lui al ale dar fi era
    după ca să i s într cum el şi
sk áäčďéíĺľňóôŕšťúýž a v sa na je že s z do to o aj ako za ale by po pre sú k bol bola bolo jeho si ktorý ktorá alebo
    ktoré už podľa až som od byť tiež len tak keď čo pri vo nie tejto ich viac medzi i u bez mu ho sme má
sl čšž in je v na se da za so ki z pa s o ne tudi po bi kot od pri ali iz še k do bil ga ni lahko to ko jih bilo sem si
    kako ker več biti sta
sq çë të e në dhe një për me i që nga është u si se më do nuk ka ky kjo tij janë por ishte këtë kanë unë ai duke shumë
sr čćđšž i u je se na da su za od sa koji o ne kao što to iz bi ili ali nije koja a sam po do kako bio već ko tokom pre
    gde samo koje još biti šta smo takođe više bez uvek posle vreme dve ima može mu ni
sv äöåéü och i att det som en på är av för med den till inte de ett om har jag han var men från så vi hon kan sig eller
    när ska nu också du mig där vid hans efter hade mycket
sw - ya na wa kwa ni katika za la cha kuwa hii kama yake lakini pia watu hiyo huo au hayo mwaka wao vya hakuna sana yeye
tr çğıöşüâîû ve bir bu da de için ile olarak çok daha ne gibi olan kadar ama o en sonra ki var değil her mi ben ya iki
    veya şey diye tarafından onun ancak bunu oldu dedi göre iki ilk sadece bütün büyük böyle olduğu yeni bazı tüm
    arasında zaman kendi yok hiç şimdi benim bana vardı biz
vi àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ và của là có các được trong cho không người một
    những với này để khi đã từ đến như cũng tôi về ra nhiều họ năm sẽ nó anh trên vào phải rất
"""

CYRILLIC = """
be ёійыьэюяў і ў не на што я з як у да за гэта ён па але ад пра а для яго якія які так быў было была каб можа мы або яна
    яны таксама пад мне гэтага пры каля ці гэты ёсць вы
bg ийщъьюяѝ и на да в се за от не е с че по са като си до към това но или той която който които във при ще през аз след
    ни му беше бе има може как тя ми ли
mk ѓѕијљњќџѐѝ и на во да се за од не е со дека по ги го ќе што како тоа но или тој која кои кој при јас до ја ни му беше
    бил има може ова сум тие биде
ru иёйщъыьэюя и в не на что я с он как это по но из у за а к от то же для его о все так был было бы только она мы они
    или вы мне при до ещё еще если которые есть
sr ђијљњћџ и у је се на да су за од са који о не као што то из би или али није која а сам по до како био већ ко током
    пре где само које још бити шта смо такође више без увек после има може му ни
uk ґєиіїйщьюя і в не на що я з як у та до за це він по але від про й а є для його які так було щоб може ми або вона вони
    який також під цього мені при чи ви
"""

ARABIC = """
ar - في من على أن إلى التي الذي عن مع هذا هذه لا ما كان كانت بين أو ذلك بعد كما قد لم كل إن هو هي و ثم حيث أنه عند قبل
    يكون غير وقد ولا وفي وهو وهي أيضا خلال حول تم أي بعض منذ وكان ولم فيه عليه هناك لن أكثر دون سوف فقط مثل جدا حتى الآن
    عندما أما إذا فإن وأن ومن لكن ولكن به له لها إنه عام بها يمكن
fa پچژگکیۀ و در به از که این را با است برای آن یک خود تا بر هم می های شد بود ها شده دارد کرد اما او من نیست باید هر
    بودند یا اگر
ur ٹپچڈڑژکگںھہۂۃۓےی کے میں کی ہے اور کا سے کو نے پر ہیں اس کہ یہ ایک بھی تھا نہیں ہو وہ کر تھے گیا کیا لیے تک تھی جو ان
    ساتھ ہوئے
"""

DEVANAGARI = """
hi - के में है की और को का से ने पर हैं एक यह भी कि नहीं कर था लिए इस हो तो वह थे गया जो अपने या थी साथ हुए तक रहे ही मैं
mr - आहे व आणि या हे ते च आहेत एक की तर नाही होते हा होता मी त्या तो ही असे केले पण त्यांनी मध्ये करण्यात किंवा तसेच यांनी ती
    साठी काही किंवा आपल्या सर्व म्हणून नये पाहिजे त्यांच्या त्याने मला झाले झाला येथे केली असून त्याच्या न
ne - छ र को मा ले हो पनि छन् गर्न एक यो भने लागि का गरेको थियो तथा म त्यो नै हुन् तर भएको बाट यस गर्ने कुनै सबै हुने वा उनले
    यी त छन भयो गरे थिए पछि रहेको छैन अनि उनी साथ गरी मेरो
"""

HEBREW = """
he - של את על לא הוא זה עם כי גם אני או היה אם יש היא כל מה אבל רק אל בין אך זו לו היו הם שלא ידי כמו לי אין זאת
    יותר מי לפני אחרי עוד להיות שלו שלה שלי אותו אותה כאשר בו בה אלא לכל ולא ועל ואת שהוא הזה כן כבר מאוד אנחנו
"""

ETHIOPIC = """
am - ነው ነበር ላይ ውስጥ እና ግን ወደ ይህ ሲሆን እንደ ነገር ሰው አንድ ጋር ወይም ሁሉ በጣም እኔ ናቸው ጊዜ በኋላ ድረስ
    ብቻ ግን ነበረ ሌላ የሆነ እንዲሁም ምክንያት አለ ሲል ስለ ዘንድ እኛ አንተ
"""

WORDS = {
    "Latn": LATIN,
    "Cyrl": CYRILLIC,
    "Arab": ARABIC,
    "Deva": DEVANAGARI,
    "Hebr": HEBREW,
    "Ethi": ETHIOPIC,
}
"""The entries by script, under the names of ISO 15924. Each language in them can be recognised."""

RIVALS = {
    "Latn": """
ast - de la que y el en a los d les un del l una por con nun ye pa al na se como más foi nel nes tamién pero ta
bs - i u je se na da su za od s sa koji o ne kao što to iz bi ili ali nije koja a sam po do kako bio već ko tokom prije
    gdje šta samo koje još biti smo također više bez uvijek poslije vrijeme dvije ima može mu ni
ceb - ang sa nga ug mga si ni kay og ko usa ka siya dili kini niini iyang alang tanan
co - di u a in è i la per da chì si un à una l ma cù e più sò hè ne d ci o anu
fo - og í at er á sum ein av til við ikki hann tað hon var fyri teir eru hava men frá um
fy - de fan in en it is op te dat mei foar net oan hy as ek ús har se troch wurdt by út
gd - an na agus a air ann is gu tha e le bha do aig nach mar cha anns ach chan iad
lb - de vun an déi den d an ass mat op fir datt net ee eng och dat sech huet gëtt sinn als hien ze am
nds - de un in is dat nich vun op to mit en för ok het as se sik he dor na bi wat ik
nn - og i det er på som ein til av for at med dei den ikkje har eit eg han om var men frå vi ho seg kan blei etter
    skal hadde eller også meg vere så ved vart
cnh - a le mi tein kha hna si nih an cu ah ram lo in lai i kan
crh - ve da ya öz bu bir de içün em yahut olğan er kes qadar men olıp edi şu ile tarafından etmek olaraq onıñ
fkv - ja oon ko ette ei eli hän se sen niin ole kans ilman tämä piä tahi minkä sole kaikile joka
frp - et la de que a l lo pas on sè un una por dens lè po dein z cein o
oc - de la e lo los las en per que un una es dels amb del a al son se mai dins coma pas foguèt aquel
pmy - dan yang deng samua tra dapa dong su sa ko de pu pi itu di dari dalam untuk ini dengan kasih
rm - da e il la en l d u las che ha per è cun ed ils sia na ins quai dad dals mintga
rup - a shi s la di un cafi ti ari cari cu câ lui nu sh va ma pi tu unâ easti suntu
sco - the o an tae in is wis that for it on wi as his be bi frae at he hae wur no sic thair
""",
    "Cyrl": "",
    "Arab": """
ckb - لە بە و کە بۆ ئەو ئەم لەگەڵ هەر ئەوەی یان بوو دەکات
pnb - دے دا دی نوں وچ اے تے نیں نے توں ایہ اوہ سی
ps - د په او چې کې له سره دی ته دا يې هغه نه هم کړي وو
sd - جي جو ۾ ۽ آهي کي سان جا کان تي هن اهو نه
""",
    "Deva": """
bho - के में से बा आ रहल ई बानी कइल गइल भइल खातिर एगो एह ओह बाड़े ओकर
mag - के हई और सब में तथा से भी या अपन करे सक ही इ ना पर होए ओकर कोनो लेल
mai - अछि छल आ केर सँ मे एहि ओ नहि लेल कएल जे ई
sa - च न इति तु एव हि अपि तत् अस्ति भवति सः यः सर्वे
""",
    "Hebr": """
yi - און דער די איז פון צו אין מיט אז ניט האט ער זיך נישט דאס אויף א וואס
""",
    "Ethi": """
ti - ኣብ እዩ ናይ ከም እቲ እዚ ነቲ ድማ ካብ ምስ ኣሎ ዝኾነ ብዛዕባ
""",
}
"""Languages that could be mistaken for one of `WORDS`: they are distinguished from those, but never returned."""

PLAIN_LETTERS = {
    "Latn": "abcdefghijklmnopqrstuvwxyz",
    "Cyrl": "абвгдежзклмнопрстуфхцчш",
    "Arab": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيـ",
}
"""The letters that nearly all languages of a script share. Letters are not used in the other scripts."""

NAMES = """
af Afrikaans, am Amharic, ar Arabic, as Assamese, az Azerbaijani, be Belarusian, bg Bulgarian, bn Bengali, bs Bosnian,
ca Catalan, cs Czech, cy Welsh, da Danish, de German, dv Dhivehi, el Greek, en English, eo Esperanto, es Spanish,
et Estonian, eu Basque, fa Persian, fi Finnish, fil Filipino, fr French, ga Irish, gl Galician, gu Gujarati, he Hebrew,
hi Hindi, hr Croatian, hu Hungarian, hy Armenian, id Indonesian, is Icelandic, it Italian, ja Japanese, ka Georgian,
kk Kazakh, km Khmer, kn Kannada, ko Korean, la Latin, lb Luxembourgish, lo Lao, lt Lithuanian, lv Latvian,
mk Macedonian, ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese, my Burmese, nb Norwegian Bokmål, ne Nepali,
nl Dutch, nn Norwegian Nynorsk, no Norwegian, or Odia, pa Punjabi, pl Polish, pt Portuguese, ro Romanian, ru Russian,
si Sinhala, sk Slovak, sl Slovenian, sq Albanian, sr Serbian, sv Swedish, sw Swahili, ta Tamil, te Telugu, th Thai,
tr Turkish, uk Ukrainian, ur Urdu, uz Uzbek, vi Vietnamese, yi Yiddish, yue Cantonese, zh Chinese, zu Zulu
"""
"""English names."""

LEAST_SHARES = """
am 0.08, ar 0.12, az 0.15, be 0.15, cs 0.15, eo 0.2, et 0.12, eu 0.12, fi 0.1, fr 0.3, he 0.1, hr 0.18, hu 0.16, is 0.2,
lt 0.13, lv 0.15, mr 0.1, mt 0.2, ne 0.12, pl 0.15, ru 0.15, sk 0.15, sl 0.18, sr 0.18, tr 0.12, uk 0.15, vi 0.15
"""
"""The share of the words that must be frequent ones, if not the usual. Many languages have endings instead of words."""

MISTAKEN = """
cn zh, cz cs, dk da, gr el, jp ja, ua uk, vn vi, deutsch de, español es, français fr, italiano it,
português pt, nederlands nl, flemish nl, polski pl, čeština cs, svenska sv, dansk da, norsk no, suomi fi, magyar hu,
türkçe tr, română ro, русский ru, українська uk, 日本語 ja, 中文 zh, mandarin zh, 한국어 ko, العربية ar, farsi fa,
castilian es
"""
"""Names that are used for a language but are neither a code nor its English name, with the code that is meant."""
