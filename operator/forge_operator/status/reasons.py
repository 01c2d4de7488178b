"""Why a condition is what it is: one word for programs, one sentence for the documentation."""

from enum import StrEnum


class Reason(StrEnum):
    """Each member's `sentence` stands in docs/reference/conditions.md."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> "Reason":
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    # It works.
    SERVING = "Serving", "A generation through this adapter succeeded on the pods that are ready."
    VERIFIED = "Verified", "The ready pods loaded this checkpoint; its digest is in status.checkpoint."
    EFFECTIVE = "Effective", "The adapter changes the base model's answers."
    ROLLED_OUT = "RolledOut", "All pods run what the spec asks for."
    SCALING = "Scaling", "The autoscaler sees its metrics and decides how many pods there are."

    # Ours: the operator or the cluster is still at it.
    CREATING = "Creating", "The Deployment or its pods are being made."
    STARTING = "Starting", "A pod has a node; its image and volumes are being prepared."
    FETCHING = "Fetching", "The pod is fetching the checkpoint or the base model from its source."
    LOADING = "Loading", "The server in the pod is reading the base model and the adapter."
    WAITING = "Waiting", "Something must happen first; the operator tries again by itself."
    AWAITING_REPORT = "AwaitingReport", "A pod is ready but has not told the operator what it loaded."
    NOT_LOADED = "NotLoaded", "No pod has loaded the checkpoint yet."
    ROLLING_OUT = "RollingOut", "Pods of the new spec are replacing older ones."
    CHECKPOINT_INCOMPLETE = "CheckpointIncomplete", "The checkpoint is still being written; the pod looks again."
    SOURCE_UNAVAILABLE = "SourceUnavailable", "The source does not answer, or not to the end; the pod tries again."
    IDLE = "Idle", "Nobody asks, so no pod runs; a request starts one."
    ACTIVATOR_MISSING = (
        "ActivatorMissing",
        "No activator is ready, which holds requests for models without pods and starts one.",
    )
    METRICS_MISSING = "MetricsMissing", "The autoscaler does not see all its metrics; it takes no pod away meanwhile."
    EVICTED = "Evicted", "The node removed or refused the pod; another one is being made."

    # Yours: somebody has to change something.
    INVALID_SPEC = "InvalidSpec", "The spec cannot be obeyed; the message names the field. Running pods stay."
    SOURCE_DENIED = "SourceDenied", "The administrator does not allow this source. Running pods stay."
    NAME_CONFLICT = "NameConflict", "An object that belongs to somebody else has a name that the model needs."
    SCALED_TO_ZERO = "ScaledToZero", "spec.replicas is 0, so nothing serves the model."
    UNSCHEDULABLE = "Unschedulable", "No node fits the pod; the message names what is short."
    VOLUME_UNAVAILABLE = "VolumeUnavailable", "A PersistentVolumeClaim is missing or not bound."
    IMAGE_UNAVAILABLE = "ImageUnavailable", "The node cannot get the server's image."
    CONTAINER_CONFIG = "ContainerConfig", "The node cannot make the container from the pod's description."
    PODS_REFUSED = "PodsRefused", "The cluster refuses to create pods, by a quota or an admission rule."
    DEADLINE_EXCEEDED = "DeadlineExceeded", "No pod became ready in the time that a start may take."
    CRASHED = "Crashed", "The server ended without saying why; the message has its last lines."
    CHECKPOINT_CHANGED = "CheckpointChanged", "The pods serve other files than the checkpoint's folder has now."
    LEXICON_UNUSABLE = (
        "LexiconUnusable",
        "A file of spec.science.lexicons is missing or cannot be read; the message names it.",
    )
    CALIBRATION_UNUSABLE = (
        "CalibrationUnusable",
        "A file of spec.science.calibration is missing or cannot be read; the message names it.",
    )
    AUTOSCALING_DISABLED = (
        "AutoscalingDisabled",
        "The administrator has switched autoscaling off; spec.replicas counts.",
    )
    AUTOSCALER_MISSING = "AutoscalerMissing", "KEDA, which is to scale the model, is not installed."
    AUTOSCALER_CONFLICT = "AutoscalerConflict", "Another autoscaler scales the same pods, so neither does."
    AUTOSCALER_FAILED = "AutoscalerFailed", "The autoscaler cannot do what it was asked for; the message has its words."

    # Yours, in the server's own words: its termination message carries the same reasons.
    CHECKPOINT_NOT_FOUND = "CheckpointNotFound", "The checkpoint's folder or one of its files does not exist."
    CHECKPOINT_INVALID = "CheckpointInvalid", "A file of the checkpoint is broken, or contradicts another one."
    CHECKPOINT_UNSUPPORTED = "CheckpointUnsupported", "The checkpoint is of a kind that is not served as it is."
    BASE_MODEL_NOT_FOUND = "BaseModelNotFound", "The base model's folder or one of its files does not exist."
    BASE_MODEL_MISMATCH = "BaseModelMismatch", "The checkpoint was not trained on this base model."
    ADAPTER_INEFFECTIVE = "AdapterIneffective", "The adapter changes nothing in the base model's answers."
    PROBE_FAILED = "ProbeFailed", "The first generation through the adapter failed."
    OUT_OF_MEMORY = "OutOfMemory", "The model does not fit into the pod's memory or its accelerator's."
    INVALID_SETTINGS = "InvalidSettings", "The server does not accept a setting that the operator gave it."
    ENGINE_FAILED = "EngineFailed", "The engine stopped with an error while it loaded or ran."

    # Yours, in the words of the init container that fetches a source.
    SOURCE_NOT_FOUND = "SourceNotFound", "The source has nothing of this name, or not in this revision."
    SOURCE_UNAUTHORIZED = "SourceUnauthorized", "The source refuses the credentials, or wants some and got none."
    SOURCE_INVALID = "SourceInvalid", "What the source has cannot be taken: a broken archive, a forbidden name or host."
    SOURCE_TOO_LARGE = "SourceTooLarge", "The source has more bytes than the administrator lets a pod fetch."
    SOURCE_DIGEST_MISMATCH = "SourceDigestMismatch", "What was fetched is not what sha256 in the spec pins."
    SOURCE_DISK_FULL = "SourceDiskFull", "The disk of the node or of the cache was full before all was fetched."


LAST_WORDS = frozenset(
    {
        Reason.CHECKPOINT_NOT_FOUND,
        Reason.CHECKPOINT_INVALID,
        Reason.CHECKPOINT_INCOMPLETE,
        Reason.CHECKPOINT_UNSUPPORTED,
        Reason.BASE_MODEL_NOT_FOUND,
        Reason.BASE_MODEL_MISMATCH,
        Reason.ADAPTER_INEFFECTIVE,
        Reason.PROBE_FAILED,
        Reason.OUT_OF_MEMORY,
        Reason.INVALID_SETTINGS,
        Reason.ENGINE_FAILED,
    }
)

# Of the fetcher: each is a False but the first, which it mends itself.
FETCH_WORDS = frozenset(
    {
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_DENIED,
        Reason.SOURCE_NOT_FOUND,
        Reason.SOURCE_UNAUTHORIZED,
        Reason.SOURCE_INVALID,
        Reason.SOURCE_TOO_LARGE,
        Reason.SOURCE_DIGEST_MISMATCH,
        Reason.SOURCE_DISK_FULL,
    }
)
