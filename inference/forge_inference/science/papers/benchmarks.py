"""Names of public benchmarks and other known data, as papers write them. Looked up exactly: case counts."""

from dataclasses import dataclass

# canonical name | other names | task
_TABLE = """
SQuAD 2.0|SQuAD2.0,SQuAD v2,SQuADv2|question answering
SQuAD|SQuAD 1.1,SQuAD1.1,SQuAD v1.1|question answering
Natural Questions|NaturalQuestions,NQ-Open|question answering
TriviaQA||question answering
HotpotQA|HotPotQA|question answering
QASPER|Qasper|question answering
PubMedQA||biomedical question answering
BioASQ|BioASQ-7b,BioASQ-8b,BioASQ-9b,BioASQ-10b,BioASQ-11b,BioASQ7b,BioASQ 7b|biomedical question answering
MedQA|MedQA-USMLE,USMLE-MedQA|biomedical question answering
MedMCQA||biomedical question answering
LitQA2|LitQA|biomedical question answering
LAB-Bench|LABBench|biomedical question answering
GeneTuring||biomedical question answering
SciQ||question answering
MMLU|MMLU-Pro|multiple choice
ARC-Challenge|ARC-Easy,ARC-c,ARC-e|multiple choice
HellaSwag||multiple choice
WinoGrande|Winogrande|multiple choice
TruthfulQA||multiple choice
GPQA|GPQA-Diamond|multiple choice
GSM8K|GSM-8K|mathematics
HumanEval||code
MBPP||code
GLUE||language understanding
SuperGLUE||language understanding
MNLI|MultiNLI|entailment
SNLI||entailment
MedNLI||entailment
SciFact||claim verification
FEVER||claim verification
SST-2|SST2|sentiment
IMDb|IMDB|sentiment
CNN/DailyMail|CNN/Daily Mail,CNN-DM|summarisation
XSum|XSUM|summarisation
PubMed-RCT|PubMed 20k RCT,PubMed 200k RCT|classification
BLURB||biomedical language
BC5CDR||named entities
NCBI-disease|NCBI-Disease,NCBI Disease Corpus|named entities
BC2GM||named entities
JNLPBA||named entities
CoNLL-2003|CoNLL2003,CoNLL03|named entities
ChemProt||relations
DDI-2013||relations
SciERC||relations
SciREX||relations
WMT14|WMT'14,WMT 2014|translation
MS MARCO|MS-MARCO,MSMARCO|retrieval
BEIR||retrieval
TREC-COVID||retrieval
ImageNet|ImageNet-1k,ImageNet-1K,ILSVRC|image classification
ImageNet-21k|ImageNet-21K|image classification
CIFAR-10|CIFAR10|image classification
CIFAR-100|CIFAR100|image classification
MNIST||image classification
COCO|MS COCO,MS-COCO|object detection
ADE20K||segmentation
Cityscapes||segmentation
Pascal VOC|PASCAL VOC|object detection
CheXpert||radiographs
MIMIC-CXR||radiographs
ChestX-ray14|ChestXray14,ChestX-ray8|radiographs
MIMIC-III|MIMIC III|clinical records
MIMIC-IV|MIMIC IV|clinical records
eICU|eICU-CRD|clinical records
EyePACS||fundus photographs
Messidor-2|Messidor|fundus photographs
IDRiD||fundus photographs
APTOS 2019|APTOS|fundus photographs
DRIVE||vessel segmentation
ISIC 2018|ISIC 2019,ISIC 2020|skin lesions
BraTS|BraTS 2020,BraTS 2021,BRATS|tumour segmentation
Camelyon16|CAMELYON16,Camelyon17|pathology
PCam|PatchCamelyon|pathology
UK Biobank|UKBB|cohort
TCGA|The Cancer Genome Atlas|genomics
GTEx||genomics
ENCODE||genomics
gnomAD||genomics
ClinVar||variants
1000 Genomes|1000 Genomes Project|variants
TOPMed||variants
Human Cell Atlas||single cells
Tabula Sapiens|Tabula Muris|single cells
ProteinGym||protein fitness
TAPE||proteins
FLIP||proteins
CASP14|CASP13,CASP15|protein structure
CAMEO||protein structure
UniRef50|UniRef90,UniRef100|proteins
PDBbind||binding affinity
MoleculeNet||molecules
QM9||molecules
ZINC15|ZINC250k|molecules
ChEMBL||molecules
Tox21||molecules
ADNI||neuroimaging
ABIDE||neuroimaging
OpenNeuro||neuroimaging
LibriSpeech||speech
PhysioNet||signals
PTB-XL||electrocardiograms
"""
# Also words of the language, or of biology: believed only beside such a word.
CUED = frozenset(
    {"COCO", "DRIVE", "GLUE", "FEVER", "TAPE", "FLIP", "ENCODE", "BEIR", "CAMEO", "BLURB", "APTOS", "MNIST"}
)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`name` as we write it, whatever the paper calls it."""

    name: str
    task: str

    @property
    def is_benchmark(self) -> bool:
        """Whether methods are compared on it; else it is a resource that studies draw from."""
        return self.task not in _RESOURCES


_RESOURCES = frozenset({"cohort", "genomics", "variants", "single cells", "clinical records", "neuroimaging"})


def _rows() -> dict[str, Benchmark]:
    found = {}
    for line in _TABLE.strip().splitlines():
        name, others, task = line.split("|")
        for written in (name, *filter(None, others.split(","))):
            found[written] = Benchmark(name, task)
    return found


WRITTEN: dict[str, Benchmark] = _rows()
