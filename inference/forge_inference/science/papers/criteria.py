"""The 24 reporting criteria: when each is expected, and the words by which a rule finds it addressed.

A cue that is found says that the authors speak of it, not that what they did was right. `denied` finds sentences that
say it was not done, which is reporting too. All patterns are bounded: no text makes them slow.
"""

import re

from forge_inference.science.papers.criterion import Criterion, Trait
from forge_inference.science.papers.words import LIMITATIONS, NUMBER_WORDS, TESTS, TOOLS, UNITS
from forge_inference.science.text.headings import Kind

_EVERYWHERE: frozenset[Trait] = frozenset({"human", "animal", "cells", "review", "computational", "omics"})
_BACK: tuple[Kind, ...] = ("funding", "acknowledgements", "coi", "contributions", "data_availability")


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _traits(*names: Trait) -> frozenset[Trait]:
    return frozenset(names)


CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        "sample_size", "How many subjects, samples or studies", ("ARRIVE 2.0 2a", "CONSORT 16", "MDAR"),
        _traits("human", "animal", "cells", "review"),
        _re(
            rf"\bn ?= ?\d|\b\d[\d,]{{0,12}} (?:\w{{1,14}}[- ]){{0,2}}{UNITS}\b"
            rf"|\b{NUMBER_WORDS} (?:[\w-]{{1,14}} ){{0,3}}{UNITS}\b"
        ),
    ),
    Criterion(
        "sample_size_justification", "Why so many: power or sample-size calculation",
        ("ARRIVE 2.0 2b", "CONSORT 7a", "NIH"),
        _traits("human", "animal"),
        _re(
            r"\bpower (?:analysis|analyses|calculations?)|\d\d ?% power|\bpower of (?:\d|0?\.)"
            r"|sample[- ]sizes? (?:was|were|calculation"
            r"|estimat|determin|justif|of \d)|G\*Power|\bpowered (?:to|for)\b"
        ),
        denied=_re(
            r"\b(?:no|not|without|nor)\b[^.;]{0,60}(?:power (?:analysis|calculation)|sample[- ]size|sample size)"
            r"|\bsample sizes? (?:was|were) not\b|\bnot powered\b"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "eligibility", "Who or what was included and excluded", ("ARRIVE 2.0 3a", "CONSORT 4a", "STROBE 6", "PRISMA 5"),
        _traits("human", "animal", "review"),
        _re(
            r"\b(?:in|ex)clusion criteri|\beligib|\b(?:was|were) (?:included|excluded|enrolled|recruited)\b"
            r"|\bexcluded if\b"
            r"|\bwe (?:included|excluded|enrolled|recruited)\b"
        ),
        preferred=("methods",),
    ),
    Criterion(
        "randomisation", "Random allocation to groups", ("ARRIVE 2.0 4a", "CONSORT 8a", "MDAR", "NIH"),
        _traits("trial", "animal"),
        _re(
            r"\brandom(?:ly|i[sz]ed)? (?:assign|allocat|divid|distribut)|\brandomi[sz](?:ed|ation) (?:to|into|in"
            r"|was|were|by|sequence"
            r"|list|using|with)\b|\b(?:was|were) randomi[sz]ed\b|\bpermuted blocks?\b|\brandom(?:ly)? (?:number"
            r"|order)"
            r"|\ballocation sequence\b"
        ),
        denied=_re(
            r"\b(?:not|neither|no|without)\b[^.;]{0,30}\brandomi[sz]|\bnon-?randomi[sz]ed (?:study|trial|design"
            r"|allocation)"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "allocation_concealment", "Allocation concealed until assignment", ("CONSORT 9",),
        _traits("trial"),
        _re(
            r"\bconceal(?:ed|ment)\b|\bopaque\b[^.;]{0,40}envelopes?|\bcentral(?:ly"
            r"|i[sz]ed)? (?:\w{1,12} ){0,2}randomi[sz]"
            r"|\b(?:web|voice|telephone)[- ]based randomi[sz]|interactive (?:web|voice) response"
        ),
        denied=_re(r"\bnot concealed\b|\bwithout (?:allocation )?concealment\b"),
    ),
    Criterion(
        "blinding", "Who was blinded to the groups", ("ARRIVE 2.0 5", "CONSORT 11a", "MDAR", "NIH"),
        _traits("trial", "animal"),
        _re(r"\b(?:double-|single-|triple-)?blind(?:ed|ing|ly)?\b|\bmasked\b|\bmasking\b|\bunaware of (?:the )?\w"),
        denied=_re(
            r"\bnot (?:\w{1,12} ){0,2}(?:blind|mask)|\bunblinded\b|\bopen[- ]label\b|\bwithout (?:blind|mask)"
            r"|\bno (?:blind|mask)ing"
            r"|\b(?:blind|mask)ing was (?:not|im)|\bneither\b[^.;]{0,40}\bblinded\b"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "subject_characteristics", "Sex and age of the subjects", ("ARRIVE 2.0 8", "SAGER", "CONSORT 15"),
        _traits("human", "animal"),
        _re(
            r"\b(?:fe)?males?\b|\bw?o?men\b|\bgirls\b|\bboys\b"
        ),
        also=_re(r"\b(?:age|aged|ages|weeks|months|years)\b"),
        not_for=_traits("review"),
    ),
    Criterion(
        "replication", "Independent repeats, apart from technical ones", ("MDAR", "NIH"),
        _traits("cells"),
        _re(
            r"\b(?:independent|biological|technical) (?:experiments?|replicates?|repeats?|replications?|cultures)"
            r"|\bin (?:tri|du)plicate"
            r"|\b(?:repeated|performed|replicated)\b[^.;]{0,40}\b(?:times|twice|independently)\b"
        ),
        denied=_re(r"\bnot (?:\w{1,12} ){0,2}(?:repeated|replicated)\b"),
    ),
    Criterion(
        "primary_outcome", "The main outcome, named as such", ("ARRIVE 2.0 6", "CONSORT 6a", "STROBE 7", "PRISMA 10"),
        _traits("trial", "animal", "cohort", "review"),
        _re(
            r"\b(?:co-)?primary (?:outcomes?|end-?points?|measures?|efficacy)|\bmain (?:outcomes?|end-?points?)"
            r"|\bmain outcome measures?"
            r"|\b(?:the|our) outcome (?:measure )?was\b"
        ),
        denied=_re(r"\b(?:no|not)\b[^.;]{0,30}\bprimary (?:outcome|end-?point)"),
    ),
    Criterion(
        "statistical_tests", "Statistical tests or models, named", ("ARRIVE 2.0 7a", "CONSORT 12a", "MDAR", "NIH"),
        _EVERYWHERE,
        _re(TESTS),
    ),
    Criterion(
        "precise_estimates", "Exact p-values, or effects with intervals", ("ARRIVE 2.0 10b", "CONSORT 17a", "SAMPL"),
        _EVERYWHERE,
        _re(
            r"\d\d ?% ?(?:CI\b|confidence intervals?|credible intervals?)|\bp(?:[- ]values?)? ?= ?(?:0?\.\d{2}"
            r"|\d(?:\.\d{1,9})? ?×)"
            r"|\bstandard (?:deviation|error) of \d"
        ),
        preferred=("results",),
    ),
    Criterion(
        "multiple_testing", "Correction for many tests", ("SAMPL", "MDAR"),
        _traits("omics", "many_tests"),
        _re(
            r"\bBonferroni|\bHolm\b|\bBenjamini|\bHochberg|\bfalse[- ]discovery|\bFDR\b|\bTukey|\bDunnett|\bŠidák"
            r"|\bSidak|\bScheff"
            r"|\bmultiple (?:testing|comparisons?|tests)\b|\bfamily-?wise"
        ),
        denied=_re(r"\b(?:no|not|without)\b[^.;]{0,40}\b(?:correct|adjust)[^.;]{0,30}\bmultiple\b"),
        not_for=_traits("review"), if_found=True,
    ),
    Criterion(
        "attrition", "Losses, exclusions and missing data", ("ARRIVE 2.0 3b", "CONSORT 13b", "STROBE 12c"),
        _traits("human", "animal"),
        _re(
            rf"\blost to follow-?up|\bdrop(?:ped)?-? ?outs?\b|\bwithdr(?:ew|awn|awals?)\b|\battrition\b"
            rf"|\bmissing (?:data|values?|outcomes?|covariates?)"
            rf"|(?:\d|\b{NUMBER_WORDS}\b)[^.;]{{0,80}}\b(?:excluded|discarded|dropped)\b|\bdid not complete\b"
            rf"|\bmultiple imputation\b"
            r"|\bno (?:\w{1,12} ){1,3}(?:was|were) (?:excluded|lost)\b"
        ),
        not_for=_traits("review"), preferred=("results", "methods"),
    ),
    Criterion(
        "software", "Software with its versions", ("MDAR", "NIH"),
        _EVERYWHERE,
        _re(
            rf"\b{TOOLS},? (?:\([^)]{{1,40}}\) ?)?(?:software |package |version |v\.? ?|release )?(?:\d|R20\d\d)"
            rf"|\bversion \d|\bv\.? ?\d{{1,3}}\.\d"
            r"|\bpackages? \w{2,20} \d"
        ),
    ),
    Criterion(
        "key_resources", "Reagents and strains that can be ordered again", ("ARRIVE 2.0 8", "MDAR", "RRID"),
        _traits("animal", "cells"),
        _re(
            r"\bRRID ?:|\bcat(?:\.|alog(?:ue)?)? ?(?:no|number|nr|#)|\bAddgene (?:plasmid )?#? ?\d"
            r"|\b(?:Sigma-Aldrich|Abcam|Invitrogen|Thermo"
            r"|Cell Signaling|Millipore|R&D Systems|Tocris|BioLegend|Santa Cruz|Jackson|JAX|ATCC)\b[^.;]{0,30}\d{3}"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "cell_line_authentication", "Cell lines authenticated, tested for mycoplasma", ("MDAR", "NIH", "ICLAC"),
        _traits("cells"),
        _re(r"\bSTR (?:profil|typing|analysis)|\bshort tandem repeat|\bauthenticat|\bmycoplasma\b"),
        denied=_re(
            r"\bnot (?:\w{1,12} ){0,2}(?:authenticated|tested for mycoplasma)|\bno authentication"
            r"|\bwithout authentication"
        ),
    ),
    Criterion(
        "ethics_approval", "Approval by an ethics or animal-care committee", ("ARRIVE 2.0 14", "ICMJE", "MDAR"),
        _traits("human", "animal"),
        _re(
            r"\b(?:approved|permitted|licen[cs]ed)\b[^.;]{0,100}\b(?:ethic|committee|board|IRB|IACUC|authorit)"
            r"|\b(?:ethics|ethical|IRB|IACUC) approval"
            r"|\binstitutional review board\b|\banimal care and use committee\b|\bdeclaration of helsinki\b"
            r"|\bethics committee\b"
        ),
        denied=_re(
            r"\b(?:ethic|approval)[^.;]{0,60}\b(?:not (?:required|needed|necessary)|waived|exempt)"
            r"|\bexempt from\b[^.;]{0,40}\b(?:ethic|review)"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "consent", "Consent of the participants", ("ICMJE", "CONSORT", "MDAR"),
        _traits("human"),
        _re(
            r"\binformed consent\b|\bwritten consent\b|\b(?:gave|provided|obtained|signed)\b[^.;]{0,40}\bconsent\b"
            r"|\bparental consent\b|\bconsented\b"
        ),
        denied=_re(
            r"\bconsent\b[^.;]{0,60}\b(?:waived|waiver|not (?:required|obtained|needed))|\b(?:waived?"
            r"|waiver)\b[^.;]{0,60}\bconsent\b"
        ),
        not_for=_traits("review"),
    ),
    Criterion(
        "registration", "Registered before it began", ("CONSORT 23", "PRISMA 24a", "ICMJE"),
        _traits("trial", "review"),
        _re(
            r"\bNCT\d{8}\b|\bISRCTN ?\d|\bChiCTR|\bEudraCT\b|\bPROSPERO\b|\bCRD42\d{6}|\bACTRN\d|\bDRKS\d"
            r"|\b(?:pre-?)?registered (?:with|at|in|on)\b"
        ),
        denied=_re(r"\bnot (?:\w{1,12} ){0,2}(?:pre-?)?registered\b"),
        preferred=("methods", "abstract"),
    ),
    Criterion(
        "data_availability", "Where the data are", ("MDAR", "TOP", "CONSORT 25"),
        _EVERYWHERE,
        _re(
            r"\bdata(?: ?sets?)?\b[^.;]{0,90}\b(?:available|deposited|shared|accessible|uploaded|public)\b"
            r"|\bdeposited (?:in|at|to|under|with)\b"
            r"|\bavailable (?:from|at|in|under)\b[^.;]{0,40}\baccession"
        ),
        denied=_re(
            r"\bdata\b[^.;]{0,60}\b(?:cannot|can not|could not|not)\b[^.;]{0,20}\b(?:available|shared|public"
            r"|released)"
        ),
        headed="data_availability",
        only_in=(*_BACK, "code_availability", "methods", "results"),
        preferred=("data_availability", "acknowledgements"),
    ),
    Criterion(
        "code_availability", "Where the code is", ("MDAR", "TOP"),
        _traits("computational", "omics"),
        _re(
            r"\b(?:code|scripts?)\b[^.;]{0,90}\b(?:available|shared|deposited|released|github|gitlab|at https?)"
            r"|\b(?:github|gitlab)\.com/"
            r"|\bcode ocean\b"
        ),
        denied=_re(
            r"\b(?:code|scripts?)\b[^.;]{0,40}\b(?:cannot|can not|not)\b[^.;]{0,20}\b(?:available|shared|released)"
        ),
        if_found=True, headed="code_availability", preferred=("code_availability", "data_availability"),
    ),
    Criterion(
        "limitations", "Limitations, said by the authors", ("CONSORT 20", "STROBE 19", "PRISMA 23b"),
        _EVERYWHERE,
        LIMITATIONS,
        headed="limitations", only_in=("discussion", "conclusions", "limitations", "unknown", "body"),
        preferred=("limitations", "discussion", "conclusions"),
    ),
    Criterion(
        "funding", "Who paid", ("ARRIVE 2.0 21", "CONSORT 25", "ICMJE"),
        _EVERYWHERE,
        _re(
            r"\b(?:funded|supported|financed)\b[^.;]{0,40}\bby\b[^;]{0,80}\b(?:grants?|funds?|foundation|council"
            r"|institutes?|trust|fellowship|agency"
            r"|ministry|NIH|NSF|program)|\bfunding\b|\bgrants? (?:from|no|number|\w{0,5}\d)|\bfinancial support\b"
        ),
        denied=_re(r"\bno (?:\w{1,12} ){0,3}(?:funding|financial support|support)\b|\bnot funded\b|\bunfunded\b"),
        headed="funding", only_in=(*_BACK, "unknown", "body", "conclusions", "discussion"),
        preferred=("funding", "acknowledgements"),
    ),
    Criterion(
        "competing_interests", "Competing interests, or that there are none", ("ARRIVE 2.0 20", "ICMJE"),
        _EVERYWHERE,
        _re(
            r"\b(?:competing|conflicting)\b[^.;]{0,20}\binterests?\b|\bconflicts? of interests?\b"
            r"|\bnothing to disclose\b|\bno conflicts?\b"
            r"|\b(?:stock options|lecture fees|speaker fees|honoraria)\b|\b(?:consultant|consults) (?:for|to)\b"
        ),
        headed="coi", only_in=(*_BACK, "ethics", "unknown", "body", "conclusions", "discussion"),
        preferred=("coi", "acknowledgements"),
    ),
)  # fmt: skip
