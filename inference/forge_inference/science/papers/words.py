"""Words that several rules on papers look for, as patterns of folded text. All are bounded."""

import re

NUMBER_WORDS = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w{3,5})?"
)
UNITS = (
    r"(?:participants|patients|women|men|adults|children|adolescents|infants|volunteers|individuals|subjects|people"
    r"|mice|rats|animals|fish|larvae|embryos|rabbits|pigs|monkeys|trials|studies|samples|images|eyes|scans)"
)
TOOLS = (
    r"(?:R|SPSS|SAS|Stata|STATA|MATLAB|Matlab|Python|Julia|Prism|PyTorch|TensorFlow|JAX|Transformers|scikit-learn"
    r"|NumPy|SciPy"
    r"|ImageJ|Fiji|FlowJo|CellProfiler|Seurat|DESeq2|edgeR|limma|STAR|Bowtie2?|BWA|GATK|samtools|PLINK|REGENIE"
    r"|BOLT-LMM"
    r"|Excel|JMP|Origin|lme4|RevMan|G\*Power|Cell Ranger|MaxQuant|Perseus|PyMOL|GROMACS|AlphaFold|Scanpy|Nextflow"
    r"|Snakemake|QuPath|EEGLAB|FieldTrip|SPM|FSL|FreeSurfer)"
)
TESTS = (
    r"(?:\bt-? ?tests?\b|\bANOVAs?\b|\bANCOVA\b|\bMANOVA\b|analys[ie]s of (?:co)?variance|Mann-Whitney|Wilcoxon"
    r"|Kruskal-Wallis"
    r"|Fisher's exact|(?:chi-?squared?|χ²|χ2) tests?|log-?rank|Cox (?:proportional|regression|models?)|McNemar|DeLong"
    r"|(?:linear|logistic|Poisson|binomial|ordinal|mixed)[- ](?:\w{1,12}[- ]){0,2}(?:models?|regressions?)|bootstrap"
    r"|permutation tests?|Pearson's|Spearman|Friedman|Kolmogorov-Smirnov|random-effects meta-analysis"
    r"|fixed-effects? model"
    r"|generali[sz]ed (?:linear|estimating|additive)|Bayesian (?:\w{1,12} ){0,2}(?:models?|analys[ie]s|regression)"
    r"|Egger's)"
)
LIMITATIONS = re.compile(
    r"\blimitations?\b|\bcaveats?\b|\b(?:study|review|trial|work|analysis|findings|results) (?:is|are|was"
    r"|were) limited\b"
    r"|\bshortcomings?\b|\bweakness(?:es)?\b",
    re.IGNORECASE,
)
