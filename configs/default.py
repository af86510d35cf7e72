"""Every field of a config: its default, its unit and its meaning.

Other configs start from this one and change a few fields. A duration is text: a number and a unit
(`steps`, `epochs`, `examples`), or `never`; `%` of the whole training where it says so.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()

    # Weights, order of examples, augmentation: all are functions of this number.
    config.seed = 0
    # A finished run's workdir to take weights from ("" = start afresh). Arrays whose name and
    # shape match are taken; the run says which did.
    config.init_from = ""
    # How long to train.
    config.duration = "10 epochs"
    # How often to print and record the training loss and accuracy.
    config.log_every = "100 steps"
    # How often to evaluate the validation split ("never" = only at the end).
    config.evaluate_every = "1 epochs"
    # Evaluate, save and predict with an exponential moving average of the weights, with this
    # decay per step, at step t at most (1 + t) / (10 + t) (0 = with the weights themselves).
    config.ema_decay = 0.0

    config.data = ConfigDict()
    # A TFDS image classification set: mnist, fashion_mnist, kmnist, emnist/letters, cifar10, ...
    config.data.name = "mnist"
    # Where TFDS keeps prepared data ("" = TFDS's own: $TFDS_DATA_DIR or ~/tensorflow_datasets).
    config.data.dir = ""
    # Where decoded arrays are kept for the next start ("" = the user's cache folder).
    config.data.cache_dir = ""
    # Examples per optimizer step, over all devices together.
    config.data.batch_size = 128
    # Examples per evaluation step; it changes speed and memory, not results.
    config.data.eval_batch_size = 1000
    # The validation split is this many examples from the end of the train split (0 = none).
    config.data.validation_examples = 5000

    config.augment = ConfigDict()
    # Random shift of each training image, up to this many pixels each way (0 = none).
    config.augment.max_shift = 0.0
    # Random rotation of each training image, up to this many degrees each way (0 = none).
    config.augment.max_rotation = 0.0

    config.model = ConfigDict()
    # Which network: row_lstm (each image row is one time step).
    config.model.architecture = "row_lstm"
    # Units of the LSTM.
    config.model.hidden_size = 128
    # Where the bias of the forget gate starts.
    config.model.forget_bias = 1.0
    # Precision of the matrix products: float32 or bfloat16. Weights, carry and loss stay float32.
    config.model.compute_dtype = "float32"

    config.loss = ConfigDict()
    # Share of the target spread evenly over all classes, in training only.
    config.loss.label_smoothing = 0.0

    config.optimizer = ConfigDict()
    # adam, adamw, sgd or rmsprop.
    config.optimizer.name = "adam"
    # The peak learning rate; config.schedule shapes it over time.
    config.optimizer.learning_rate = 1e-3
    # adam, adamw: decay of the first and second moment.
    config.optimizer.beta1 = 0.9
    config.optimizer.beta2 = 0.999
    # adam, adamw, rmsprop: added to the denominator.
    config.optimizer.epsilon = 1e-8
    # sgd, rmsprop: momentum.
    config.optimizer.momentum = 0.0
    # rmsprop: decay of the squared gradient's average.
    config.optimizer.decay = 0.9
    # adamw, sgd, rmsprop: decoupled weight decay, on kernels only, not on biases.
    config.optimizer.weight_decay = 0.0
    # Gradients are scaled down to this global norm (0 = never).
    config.optimizer.clip_norm = 0.0

    config.schedule = ConfigDict()
    # constant, cosine (decay to final_fraction) or one_cycle (cosine rise, then cosine decay).
    config.schedule.name = "constant"
    # Rise from start_fraction to the peak; may be given in % of the whole training.
    config.schedule.warmup = "0 steps"
    # First and last learning rate, as fractions of the peak.
    config.schedule.start_fraction = 0.1
    config.schedule.final_fraction = 0.0

    config.checkpoint = ConfigDict()
    # How often to save ("never" = only at the end and when interrupted).
    config.checkpoint.every = "1 epochs"
    # How many of the newest checkpoints to keep.
    config.checkpoint.keep = 2
    # Also keep the one with the best validation accuracy; evaluate and predict with it.
    config.checkpoint.keep_best = False

    config.early_stopping = ConfigDict()
    # Stop after this many evaluations in a row without a better validation accuracy (0 = never).
    config.early_stopping.patience = 0

    return config
