"""The words that texts in a language are full of, as a person who knows it would list them."""

# ruff: noqa: RUF001
from __future__ import annotations

COMMON = {
    "English": (
        "the of and to in is that it for was with as on are this be at by not have from or an you "
        "they which but his her their what there been has were your will would who when if can "
        "how about these my we she he do does"
    ),
    "German": (
        "der die das und ist nicht ein eine einen dem den des zu mit auf für von im sich auch es "
        "ich sie wir er wird sind war haben hat nach bei oder aber wie aus noch kann durch wenn "
        "nur einer eines zum zur über was vom dass"
    ),
    "French": (
        "le la les de des du et est un une en que qui dans pour pas sur au aux avec ce cette il "
        "elle nous vous je ne se son sa ses par plus ou mais sont été être avoir ont leur comme "
        "fait où c'est j'ai quel"
    ),
    "Spanish": (
        "el la los las de del y es un una en que por para con no se su sus al lo como más pero "
        "este esta son está hay muy fue ser tiene entre cuando también yo ella nos qué cómo sobre "
        "desde porque"
    ),
    "Portuguese": (
        "o os as de do da dos das e é um uma em no na nos nas que por para com não se ao à pelo "
        "pela mais como mas foi são está ele ela isso este esta também você seu sua muito ser tem "
        "entre quando já ou"
    ),
    "Italian": (
        "il lo la i gli le di del della dei delle e è un una in nel nella che per con non si da "
        "dal dalla al alla più come ma sono questo questa anche su ha o suo sua se ci quando "
        "essere hanno perché cosa"
    ),
    "Dutch": (
        "de het een en van is dat niet in op te zijn met voor aan er die ook als maar om bij uit "
        "naar dan ze hij wij ik je deze wordt heeft was door over kan nog wat of geen worden "
        "hebben meer hun"
    ),
    "Polish": (
        "i w na z że się nie do to jest o jak ale po co tak za od przez przy dla czy już są jego "
        "jej był była być oraz który która które ze tym tego może tylko"
    ),
    "Swedish": (
        "och i att det som en på är av för med den till inte om ett har de jag vi han hon var men "
        "eller från sig så kan när vid ska också efter mycket detta"
    ),
    "Danish or Norwegian": (
        "og i at det som en på er af av til den ikke med for et har de jeg vi han hun var men "
        "eller fra sig seg så kan når ved skal også efter etter meget mye dette om"
    ),
    "Finnish": (
        "ja on ei se että hän oli ovat joka kun mutta tai myös niin kuin ole olla mitä tämä jos "
        "sekä jotka hänen sen minä sinä he vain nyt voi"
    ),
    "Turkish": (
        "ve bir bu da de için ile çok daha gibi olarak ne var en kadar sonra ama değil mi olan o "
        "ben her ya şey nasıl ise veya onun olduğu"
    ),
    "Czech": (
        "a je v na se že to s z do o k i ale jako za pro by jsem jsou tak si od jeho její po při "
        "byl byla které který která nebo když už není"
    ),
    "Hungarian": (
        "a az és hogy nem is egy ez van de meg volt csak mint már ha még vagy el lesz ki kell azt "
        "ezt nagyon minden mert aki ami után amely"
    ),
    "Romanian": (
        "și de în la cu o nu un este care pe că din pentru mai sunt se a au ce ca fost sau dar "
        "prin după acest această lui ei el fi foarte cum"
    ),
    "Indonesian": (
        "yang dan di ini itu untuk dengan dari pada tidak dalam akan adalah juga ada ke oleh bisa "
        "saya atau kita mereka sudah karena anda seperti lebih telah dapat"
    ),
    "Vietnamese": (
        "và của là có không được cho các trong một người với này những khi để tôi đã từ như đến "
        "về cũng ra nhiều thì bạn lại nó vì sẽ trên"
    ),
    "Russian": (
        "и в не на что с по это как но он она они из за от для так все был была было быть или его "
        "её если уже чтобы при когда только мы вы я к у о же который которые"
    ),
    "Ukrainian": (
        "і в не на що з по це як але він вона вони із за від для так всі був була було бути або "
        "його її якщо вже щоб при коли тільки ми ви я до у про та який які й"
    ),
    "Bulgarian": (
        "и в не на че с по това как но той тя те от за да е са се беше било или го я ако вече при "
        "когато само ние вие аз към до който които ще най"
    ),
}

# where a script's letters begin and end, and what is written in it
SCRIPTS = (
    (0x0041, 0x024F, "Latin"),
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0531, 0x058A, "Armenian"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x077F, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Punjabi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0C80, 0x0CFF, "Kannada"),
    (0x0D00, 0x0D7F, "Malayalam"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Korean"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x3040, 0x30FF, "Kana"),
    (0x3400, 0x4DBF, "Chinese"),
    (0x4E00, 0x9FFF, "Chinese"),
    (0xAC00, 0xD7AF, "Korean"),
)
OWN_LANGUAGE = {"Devanagari": "Hindi or another in Devanagari", "Arabic": "Arabic or Persian"}
"""What languages are called whose script says which they are, where the script is called else."""
SPELT = {
    "Cyrillic": ("Russian", "Ukrainian", "Bulgarian"),
    "Latin": tuple(name for name in COMMON if name not in ("Russian", "Ukrainian", "Bulgarian")),
}
"""Scripts of several languages, which common words tell apart."""
