from .augmentation import (
    ArrayAugmentation as ArrayAugmentation,
    AugmenterChoice as AugmenterChoice,
    check_augmenters as check_augmenters,
    make_augmenters as make_augmenters,
)
from .benchmark import Benchmark as Benchmark, Measurement as Measurement, Speed as Speed, benchmark as benchmark
from .choices import Goal as Goal
from .cross_validated import CrossValidated as CrossValidated, runs_in as runs_in
from .curves import PrecisionRecallCurve as PrecisionRecallCurve, precision_recall as precision_recall
from .decoder import (
    DecoderSettings as DecoderSettings,
    Found as Found,
    choose_detections as choose_detections,
    raw as raw,
)
from .difference import Difference as Difference
from .evaluation import Evaluation as Evaluation, evaluate as evaluate, without_draws as without_draws
from .export import Export as Export, export as export
from .inference import load_model as load_model, predicted_pairs as predicted_pairs
from .job import TrainJob as TrainJob
from .network import (
    Network as Network,
    NetworkBackend as NetworkBackend,
    NetworkExporter as NetworkExporter,
    open_network as open_network,
    read_settings as read_settings,
    write_settings as write_settings,
)
from .parity import Limits as Limits
from .portable import (
    InputSettings as InputSettings,
    PortableModel as PortableModel,
    Reduced as Reduced,
    ServedModel as ServedModel,
    Suppressed as Suppressed,
    resize_bilinear as resize_bilinear,
    select_detections as select_detections,
    shrink as shrink,
)
from .prediction import Prediction as Prediction, predict as predict
from .protocols import (
    ArrayAugmenter as ArrayAugmenter,
    Augmenter as Augmenter,
    Backend as Backend,
    Command as Command,
    Exporter as Exporter,
    ForwardModel as ForwardModel,
    FrameworkBackend as FrameworkBackend,
    JoiningAugmenter as JoiningAugmenter,
    Loader as Loader,
    Logger as Logger,
    Metric as Metric,
    MetricResult as MetricResult,
    MixingAugmenter as MixingAugmenter,
    Model as Model,
    Trainer as Trainer,
    TunableModel as TunableModel,
    WeightsConverter as WeightsConverter,
    WorkerTrainer as WorkerTrainer,
)
from .replicas import (
    OneReplica as OneReplica,
    Replicas as Replicas,
    ReplicatedBackend as ReplicatedBackend,
    ReplicatedTraining as ReplicatedTraining,
    Shard as Shard,
    check_replicas as check_replicas,
    train_replicas as train_replicas,
)
from .reproduction import Reproduction as Reproduction, reproduce as reproduce
from .resampling import draw_images as draw_images, interval_of as interval_of
from .run import Run as Run
from .scene import Scene as Scene
from .search import Tuning as Tuning
from .slicing import SlicedModel as SlicedModel, Slicing as Slicing, merge_detections as merge_detections
from .trainers import check_trainer as check_trainer, make_trainer as make_trainer
from .training import check_training as check_training, train as train
from .trust import (
    models_trusted as models_trusted,
    trust_models as trust_models,
    untrusted_model as untrusted_model,
)
from .tuned import ChosenModel as ChosenModel, decoder_of as decoder_of
from .tuning import reset_tuning as reset_tuning, set_decoder as set_decoder, tune as tune
from .weights import (
    OwnWeights as OwnWeights,
    Weights as Weights,
    default_preset as default_preset,
    find_all_weights as find_all_weights,
    find_own_weights as find_own_weights,
    find_weights as find_weights,
    import_weights as import_weights,
    remove_weights as remove_weights,
)
