"""Words that tell genes from words that only look like their symbols."""

import re


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Symbols that are words, a laboratory's shorthand or abbreviations of other things: a word nearby must speak of genes.
WORDLIKE = _words("""
    CAT REST MAX SET IMPACT CLOCK WAS BAD BID MET KIT RET MICE AIR ACE AR FAS APC APP ALK MPL LPA PLN PAH CLU CR1 AGT
    INS GCK PML SMO F2 F5 F8 F9 CP HR CI GRN FUS EGF ARX TAZ YAP STING NEU SERT merlin menin Snail SHH VCP CS PC
    MS TH GC RHO
""")
CUE = re.compile(
    r"^(?:genes?|proteins?|mutations?|mutants?|mutated|expression|express(?:es|ed|ing)?|variants?|alleles?|knock\w*|encod\w+"
    r"|promoters?|mrnas?|transcripts?|transcription|locus|loci|kinases?|receptors?|deficien\w+|deletions?|deleted|amplifi\w+"
    r"|overexpress\w*|inhibit\w+|sirnas?|shrnas?|exons?|introns?|polymorphisms?|carriers?|isoforms?|phosphorylat\w+|haplo\w+"
    r"|signall?ing|fusions?|rearrange\w*|oncogenes?|suppressors?|homologues?|orthologs?|loss|silenc\w+|upregulat\w+|null"
    r"|downregulat\w+|wild|pathogenic|missense|truncating|germline|somatic|hotspot|levels?|antibod(?:y|ies)|agonists?"
    r"|antagonists?|activit(?:y|ies)|cdna|snps?|methylation|copies|activat\w+|sequenc\w+|codons?)$",
    re.IGNORECASE,
)

GENE_WORDS = _words("gene protein receptor kinase factor ligand enzyme homolog suppressor oncogene channel transporter")
