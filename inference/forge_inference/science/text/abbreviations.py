"""Words with a full stop of their own, as papers use them. All in lower case."""


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# What follows always belongs to them.
BINDING = _words("""
    fig figs eq eqs eqn eqns ref refs suppl supp vol vols
    e.g i.e eg ie cf viz vs approx ca resp
    dr prof mr mrs messrs subsp ssp
""")

# What follows belongs to them, unless it is a word that begins sentences: "strain sp. The", "No. The answer".
LEADING = _words("""
    tab tabs app sect sec chap ch no nos nr pp p pg par ed eds trans ser ex v circa ms st mt gen col
    sp spp var cv pv bv f.sp str sv aff dept univ inst lab
    jan feb mar apr jun jul aug sep sept oct nov dec
    max temp conc wk avg est def prep incl excl
""")

# They stand at ends of sentences too: then a word follows that begins one.
TRAILING = _words("""
    al etc h hr hrs min mins s secs d wk wks mo mos yr yrs inc ltd co corp gmbh llc plc jr sr
    a.m p.m am pm u.s u.s.a u.k e.u d.c ph.d m.d b.sc m.sc s.d s.e s.e.m i.v i.p s.c p.o i.m b.i.d q.d t.i.d
    b.w d.p.i h.p.i d.p.f h.p.f r.p.m n.s a.a o.d w.t l.p o.n wt kg g mg ml
""")

# After these, a single capital letter is a name of its own and no initial: vitamin C, hepatitis B, group A.
LETTERED = _words("""
    vitamin hepatitis group groups type types panel panels protein proteins factor influenza complex cohort arm site
    class stage grade phase chain strain figure fig table appendix part subunit region domain zone model clade variant
    serotype haplotype allele condition compound cluster lineage subtype genotype box set sample patient subject
    and or to vs component coenzyme cyclin lamin cathepsin immunoglobulin supplementary hemophilia haemophilia
""")

# Words that begin sentences and hardly ever stand, with a capital letter, behind an abbreviation.
OPENING = _words("""
    the a an in we this these those it its here however our they their there to for from by on at as with when while
    although because since after before during although both all each most many some several such thus therefore hence
    moreover furthermore additionally conversely similarly consistent interestingly notably importantly overall together
    finally first second third next then compared using based given no not only one two three four both patients mice
    cells data results if whereas despite among between within upon under over further subsequently samples animals
    methods conclusion conclusions background objective objectives findings participants taken later previous recent
""")
