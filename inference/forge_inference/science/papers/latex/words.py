"""What commands of LaTeX stand for, and which of them are no text."""


def _pairs(listed: str) -> dict[str, str]:
    words = listed.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# The space behind them is LaTeX's, and is not said.
LETTERS = _pairs("""
    alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta θ iota ι kappa κ lambda λ mu μ
    nu ν xi ξ pi π rho ρ varrho ρ sigma σ varsigma ς tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω
    Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω
    textalpha α textbeta β textgamma γ textdelta δ textkappa κ textlambda λ textmu µ textDelta Δ
    i ı j ȷ o ø O Ø l ł L Ł ss ß ae æ AE Æ oe œ OE Œ aa å AA Å S § P ¶ dag † ddag ‡ dagger † ddagger ‡
    LaTeX LaTeX TeX TeX ell ℓ hbar ℏ textquotesingle ' textbackslash \\ textasciitilde ~ textunderscore _
    textquoteright ’ textquoteleft ‘ textquotedblleft “ textquotedblright ” textendash – textemdash — textdegree °
    copyright © textregistered ® texttrademark ™ pounds £ euro € texteuro € prime ′ degree ° celsius °C
    degreeCelsius °C degC °C micro µ milli m kilo k nano n pico p centi c mega M giga G deci d
    gram g meter m metre m second s litre L liter L mole mol molar M hour h minute min day d hertz Hz volt V watt W
    kelvin K joule J pascal Pa dalton Da gray Gy ampere A squared ² cubed ³ per / percent %
""")

# Between two things: the space around them is kept.
SIGNS = _pairs("""
    times × cdot · pm ± mp ∓ div ÷ ast * star * leq ≤ le ≤ leqslant ≤ geq ≥ ge ≥ geqslant ≥ neq ≠ ne ≠ approx ≈ sim ~
    simeq ≃ cong ≅ equiv ≡ propto ∝ ll ≪ gg ≫ lt < gt > textless < textgreater > infty ∞ rightarrow → to →
    longrightarrow → Rightarrow ⇒ implies ⇒ leftarrow ← leftrightarrow ↔ uparrow ↑ downarrow ↓ mapsto ↦ in ∈ notin ∉
    subset ⊂ subseteq ⊆ cup ∪ cap ∩ emptyset ∅ forall ∀ exists ∃ neg ¬ land ∧ lor ∨ sum ∑ prod ∏ int ∫ partial ∂
    nabla ∇ circ ∘ bullet • ldots … dots … cdots … textellipsis … mid ∣ parallel ∥ perp ⊥ textbar ∣ vert ∣ Vert ∥
    textpm ± texttimes × textrightarrow → langle ⟨ rangle ⟩ lbrace { rbrace } oplus ⊕ otimes ⊗
    log log ln ln exp exp min min max max sin sin cos cos tan tan lim lim det det arg arg Pr Pr sup sup inf inf
""")

# Behind a backslash, without a name.
ESCAPED = {
    **{mark: mark for mark in "%&_#${}"},
    **dict.fromkeys(" \n\t;:>[]", " "),
    "|": "∥",
}
COMBINING = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a", "d": "\u0323",
}  # fmt: skip

# Headings: those of sections, and those of parts of them.
SECTIONS = _words("part chapter section")
PARTS = _words("subsection subsubsection paragraph subparagraph")

# Commands whose arguments are no text, with how many there are.
DROPPED: dict[str, int] = {
    **dict.fromkeys(
        _words("""
            label vspace hspace includegraphics usepackage RequirePackage documentclass documentstyle bibliographystyle
            bibliography addbibresource pagestyle thispagestyle pagenumbering graphicspath color hypersetup geometry
            nocite author affil affiliation affiliations institute address email date thanks keywords orcid todo
            authorrunning titlerunning phantom hphantom vphantom rowcolor cellcolor linespread captionsetup sisetup
            tikzset pgfplotsset usetikzlibrary newlength newcounter stepcounter refstepcounter theoremstyle textcolor
            bibitem index glossary marginpar hyphenation lstset selectlanguage raisebox scalebox colorbox newif
            PassOptionsToPackage
        """),
        1,
    ),
    **dict.fromkeys(
        _words("""
            setlength addtolength setcounter addtocounter multirow resizebox newtheorem newcolumntype fontsize markboth
            let rule
        """),
        2,
    ),
    **dict.fromkeys(_words("definecolor specialrule newenvironment renewenvironment"), 3),
}
FILES = _words("""
    input include subfile subfileinclude import subimport includestandalone verbatiminput lstinputlisting inputminted
    InputIfFileExists loadglsentries
""")
RUNNING = _words("write openin openout read directlua luaexec ShellEscape catcode special csname")
FRACTIONS = _words("frac tfrac dfrac cfrac nicefrac sfrac")
SCRIPTS = _words("textsuperscript sp textsubscript sb")
REFERENCES = _words("ref eqref cref Cref autoref pageref nameref subref vref labelcref")
MEASURES = _words("SI qty SIrange qtyrange ang")

# Environments whose content is no prose, and those that are given something before their content.
UNREAD = _words("""
    comment tikzpicture pgfpicture filecontents filecontents* verbatim verbatim* lstlisting minted Verbatim alltt
    thebibliography keywords CCSXML algorithm algorithm2e algorithmic picture
""")
GIVEN = {
    "minipage": 1, "tabular": 1, "tabular*": 2, "tabularx": 2, "tabulary": 2, "longtable": 1, "supertabular": 1,
    "tabu": 1, "array": 1, "multicols": 1, "wrapfigure": 2, "wraptable": 2, "subfigure": 1, "subtable": 1,
    "adjustbox": 1, "list": 2, "tblr": 1, "alignat": 1, "alignat*": 1,
}  # fmt: skip
TABLES = _words("tabular tabular* tabularx tabulary longtable supertabular tabu tblr")
FLOATS = {
    "figure": "Figure", "figure*": "Figure", "wrapfigure": "Figure", "SCfigure": "Figure",
    "table": "Table", "table*": "Table", "wraptable": "Table", "longtable": "Table", "sidewaystable": "Table",
}  # fmt: skip
HEADED = {
    "abstract": "Abstract", "acks": "Acknowledgements", "ack": "Acknowledgements", "appendices": "Appendix",
    "acknowledgments": "Acknowledgements", "acknowledgements": "Acknowledgements", "appendix": "Appendix",
}  # fmt: skip
