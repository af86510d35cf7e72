"""Every field of a config: its default, its unit and its meaning.

Other configs start from this one and change a few fields. A duration is text: a number and a unit
(`steps`, `epochs`, `examples`, or `%` of the whole training), or `never`.

Generated from `seqvision/config/schema.py`; after a change there:

    python -m seqvision.config.schema > configs/default.py
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()

    # Weights, order of examples, augmentation: all are functions of this number.
    config.seed = 0
    # Train this many at once, with the seeds from config.seed on, each as it would be trained alone
    # (early stopping and the best checkpoint go by their mean); reported are their mean, their
    # standard deviation and each. Clips and lines that are generated (config.data.source) are the
    # same for all: those of config.seed.
    config.num_seeds = 1
    # A finished run's workdir, or weights of another library, to start from ("" = start afresh).
    # Arrays of a run whose name and shape match are taken; the run prints which did.
    config.init_from = ""
    # How long to train.
    config.duration = "10 epochs"
    # How often to print and record the training loss and accuracy.
    config.log_every = "100 steps"
    # How often to evaluate the validation split ("never" = only at the end).
    config.evaluate_every = "1 epochs"
    # Evaluate, save and predict with an exponential moving average of the weights, with this decay
    # per step, at step t at most (1 + t) / (10 + t) (0 = with the weights themselves).
    config.ema_decay = 0.0

    config.data = ConfigDict()
    # tfds (a set by its TFDS name), npz (one file), folders (class folders of images or clips),
    # features (features of each frame, from other programs or --mode=features), idx (the four IDX
    # files of the MNIST family), moving_digits (clips generated from a TFDS set of digits; see
    # config.clips), digit_lines (lines of writing generated from one; see config.lines) or lines
    # (images of lines, and a table of their texts). Networks for digit_lines and lines read text;
    # others classify.
    config.data.source = "tfds"
    # digit_lines: mnist, or another grey set whose classes are single symbols. tfds, moving_digits:
    # mnist, fashion_mnist, kmnist, emnist/letters, cifar10, ...
    config.data.name = "mnist"
    # tfds, moving_digits, digit_lines: where TFDS keeps prepared data ("" = TFDS's own:
    # $TFDS_DATA_DIR or ~/tensorflow_datasets).
    config.data.dir = ""
    # Where files are kept for the next start ("" = the user's cache folder). tfds, moving_digits,
    # digit_lines: the decoded arrays; npz, folders: the results of scanning a streamed set.
    # Features of a frozen backbone.
    config.data.cache_dir = ""
    # The most that the features of frozen backbones may take there; those unused for longest are
    # deleted first.
    config.data.feature_cache_bytes = 21_474_836_480
    # npz, folders, features, idx, lines: the .npz file, the folder that holds the class folders,
    # the four IDX files (plain or gzipped), or lines: `images` and `labels.tsv`, or images and
    # `.gt.txt`, PAGE or ALTO files.
    config.data.path = ""
    # npz: what its arrays hold: images, clips, or auto (by their shape). folders: what the folders
    # inside a class folder are: groups of single images (images), clips, or auto (clips for
    # model.sequence=frames, or where they hold numbered series of images of one size).
    config.data.kind = "auto"
    # What is to be predicted. npz: class (one for each example), steps (a class for every frame of
    # a clip), labels (any of several at once) or number. folders: class or steps (a table of
    # targets beside each clip). moving_digits: of the tasks shell and parity, class (at the end) or
    # steps (at every frame). auto: what the data hold (shell, parity: class).
    config.data.target = "auto"
    # In training, draw examples of all classes equally often, however many there are of each.
    config.data.balanced_draws = False
    # npz, folders: of values of more than 8 bits, those that are black and white, such as "0,4095"
    # or "-1000,1000"; "auto" is 0 and the depth, or the extremes, of the whole training split, and
    # "percentiles:1,99" two percentiles of its values (of 1000 files, and 10,000 values of each).
    # Windows of CT go by their names, "ct:brain", and three ranges make three channels,
    # "ct:brain+subdural+bone"; see value_ranges.py in seqvision/config.
    config.data.value_range = "auto"
    # folders, features: a regular expression that is searched for in each example's path below
    # config.data.path; its first bracket (or all of it) is the example's group, such as
    # "patient([0-9]+)" ("" = what groups.csv in that folder says, if it is there). A group never
    # lies in two of the splits that fractions cut.
    config.data.group_pattern = ""
    # folders: what transparent pictures lie on: black, white, or auto (black where the training
    # split's ink is light).
    config.data.paper = "auto"
    # folders: a file that cannot be decoded ends the run (fail) or is left out and counted (skip).
    config.data.broken_files = "fail"
    # tfds, npz, folders, features of a frozen backbone: sets whose images would take more bytes
    # than this in memory are streamed: each example is read (and decoded) when it is needed. It
    # changes speed, not results.
    config.data.resident_bytes = 2_147_483_648
    # Pixels that images and frames are scaled to, proportions kept (0 = as they are).
    config.data.height = 0
    config.data.width = 0
    # 1 (grey), 3 (RGB) or 0 (as they are).
    config.data.channels = 0
    # Examples per optimizer step, over all devices together.
    config.data.batch_size = 128
    # Examples per evaluation step; it changes speed and memory, not results.
    config.data.eval_batch_size = 1000
    # tfds, moving_digits, digit_lines: the validation split is this many examples from the end of
    # the train split (0 = none).
    config.data.validation_examples = 5000
    # npz, folders, features, idx, lines: without splits of their own, these fractions of the
    # examples become the validation and the test split, chosen by the SHA-256 of each example's
    # content, or of its group (0 = none).
    config.data.validation_fraction = 0.1
    config.data.test_fraction = 0.1
    # Clips: frames that the network reads at once; longer clips are cut into windows (0 = whole
    # clips). In training, each clip's window is drawn at random.
    config.data.window = 0
    # Clips: frames from the start of a window to that of the next, in evaluation and prediction
    # (0 = as many as a window has; with more, the frames between are not read).
    config.data.window_stride = 0

    config.clips = ConfigDict()
    # moving_digits: motion (left, right, up or down, and with config.clips.turn also clockwise or
    # counterclockwise: not to be seen in one frame), digit (which digit, through noise and
    # occlusion), directions (it turns now and then: left, right, up or down, for every frame but
    # the first), parity (has the digit blinked an even or an odd number of times?) or shell (no
    # digits: the shell game; a ball is seen in the first frame only, under one of some cups, which
    # are then swapped two at a time: which place is it at?).
    config.clips.task = "motion"
    # All tasks but shell: frames of the longest clips, and of the shortest (0 = all are of one
    # length).
    config.clips.num_frames = 8
    config.clips.min_frames = 0
    # shell: how many.
    config.clips.cups = 3
    # shell: swaps in each clip.
    config.clips.swaps = 6
    # shell: the most and the fewest in a training clip (0 = as many as in the others; 0 = all as
    # many as the most).
    config.clips.train_swaps = 0
    config.clips.train_min_swaps = 0
    # shell: frames that a swap takes.
    config.clips.frames_per_swap = 4
    # Pixels of a frame, and its channels (1 or 3).
    config.clips.height = 28
    config.clips.width = 28
    config.clips.channels = 1
    # Pixels that the 28 pixels of an MNIST digit are scaled to.
    config.clips.digit_size = 20
    # Pixels from frame to frame, and degrees of the clips that turn (0 = none does).
    config.clips.speed = 2.0
    config.clips.turn = 0.0
    # Standard deviation of the noise on each pixel of each frame; 1 is from black to white.
    config.clips.noise = 0.1
    # Fraction of each frame that is hidden.
    config.clips.occlusion = 0.0
    # Number of clips in each split; their digits come from the same split of the digits.
    config.clips.train_clips = 60000
    config.clips.validation_clips = 2000
    config.clips.test_clips = 10000

    config.lines = ConfigDict()
    # lines: whether dark and light are swapped, since networks read light ink on dark: auto (where
    # the ink of a line is dark), always or never.
    config.lines.invert = "auto"
    # digit_lines: how lines look: clean, natural or hard (see line_recipe.py in
    # seqvision/data/synthetic).
    config.lines.level = "clean"
    # digit_lines: the same for the training lines ("" = as the others), or two levels in turn:
    # clean+natural, clean+hard, natural+hard. More variation teaches more.
    config.lines.train_level = ""
    # digit_lines: symbols of the shortest lines, and of the longest, spaces included.
    config.lines.min_symbols = 1
    config.lines.max_symbols = 20
    # digit_lines: columns of a line's image (symbols that would not fit are left out). lines: the
    # most columns that an image may have.
    config.lines.width = 400
    # digit_lines: symbols of the shortest training lines, at most max_symbols (0 = as the others).
    # Columns behind the end of a line cost as much as others.
    config.lines.train_min_symbols = 0
    # digit_lines: columns of a training line's image (0 = as the others). Narrow lines are
    # processed faster, and teach as much.
    config.lines.train_width = 0
    # digit_lines: number of lines in each split; their digits come from the same split of the
    # digits.
    config.lines.train_lines = 1_000_000
    config.lines.validation_lines = 2000
    config.lines.test_lines = 10000

    config.reading = ConfigDict()
    # lines: the symbols, each one character ("" = those of the texts).
    config.reading.alphabet = ""
    # lines: in which direction a text runs as a whole, for texts with letters from right to left:
    # right_to_left, left_to_right, or auto (that of its first letter). Texts are learnt in the
    # order in which they stand, and read in that in which they are typed. as_typed: they are learnt
    # as they are.
    config.reading.direction = "auto"
    # digit_lines: a symbol must be output at most this many columns after the last column of its
    # ink. All lines: as many empty columns are appended to each.
    config.reading.delay = 7
    # evaluate, predict: texts kept by the beam search (0 = greedy, as in live reading).
    config.reading.beam_width = 0
    # beam search: what texts are likely. words:FILE allows the words of a file, with single spaces
    # between them; bigram:FILE takes the frequency of symbol pairs from a file of texts, one a line
    # ("" = any text).
    config.reading.prior = ""
    # Weight of the prior's log probability beside that of the network.
    config.reading.prior_weight = 1.0

    config.augment = ConfigDict()
    # Random shift of each training image, up to this many pixels each way (0 = none).
    config.augment.max_shift = 0.0
    # Random rotation of each training image, up to this many degrees each way (0 = none).
    config.augment.max_rotation = 0.0

    config.model = ConfigDict()
    # One time step: rows, columns, pixels, permuted_pixels (one fixed order), patches, cnn (all CNN
    # features at once), cnn_rows (rows of the CNN's feature map), frames (CNN features of each
    # frame of a clip) or features (those that data.source=features reads). Lines of writing:
    # columns, or cnn_columns (a CNN that sees no column to come).
    config.model.sequence = "rows"
    # patches: height and width of a patch in pixels.
    config.model.patch_size = 4
    # cnn, cnn_rows, frames: for each channel count a 3x3 convolution, ReLU and a 2x2 max-pool;
    # cnn_columns: with a max-pool over two rows.
    config.model.cnn_channels = (32, 64)
    # cnn, cnn_rows, frames: convolve in a border of 0 (same), or in none and leave out what the
    # max-pool has left over (valid: 28 -> 26 -> 13 -> 11 -> 5).
    config.model.cnn_padding = "same"
    # frames: a CNN of its own for each frame position; for clips of one length.
    config.model.cnn_per_frame = False
    # frames: in place of the CNN a pretrained network, none, efficientnet_lite0,
    # tf_efficientnet_lite0 (as TensorFlow pads), resnet18, resnet50 or mobilenet_v3_small.
    config.model.backbone = "none"
    # A file of its weights: a .safetensors or .pth of torchvision or timm.
    config.model.backbone_weights = ""
    # Which of its stages learn: none (the features of every frame are computed once and kept),
    # last_stage, last_two_stages or all. Batch statistics stay as they are.
    config.model.backbone_trainable = "none"
    # lstm, gru, gru_reset_before, layer_norm_lstm, janet, min_lstm or min_gru. The second GRU
    # resets the hidden state before its product, as TensorFlow's GRUCell.
    config.model.cell = "lstm"
    # Units of each recurrent layer, in each direction.
    config.model.hidden_size = 128
    # Recurrent layers on top of each other.
    config.model.num_layers = 1
    # Read in both directions.
    config.model.bidirectional = False
    # Input of the classifier: last (final hidden state), mean, max, attention (over all steps) or
    # per_step (a prediction after every step).
    config.model.readout = "last"
    # Dropout rates: between recurrent layers; on the cells' candidate states, one mask for a whole
    # sequence; before the classifier.
    config.model.dropout = 0.0
    config.model.recurrent_dropout = 0.0
    config.model.readout_dropout = 0.0
    # With gate_init of constant: initial bias of the gate that keeps memory.
    config.model.forget_bias = 1.0
    # Initial bias of the gate that keeps memory: constant (forget_bias), chrono (for memories as
    # long as the sequence) or uniform (for memories of all lengths).
    config.model.gate_init = "constant"
    # lstm, gru: a second gate refines the one that keeps memory (with uniform: UR-LSTM, UR-GRU).
    config.model.refine_gates = False
    # Recurrent kernels start orthogonal or as the identity.
    config.model.recurrent_init = "orthogonal"
    # Precision of the matrix products: float32 or bfloat16. Weights, carry and loss stay float32.
    config.model.compute_dtype = "float32"
    # Implementation of the recurrent layers: scan (any cell), fused (lstm and gru, gradients
    # written out by hand), native (lstm in C++ that is compiled once, on CPUs), cudnn or persistent
    # (lstm on an NVIDIA GPU) or auto (the one that was measured to be fastest, else scan). It
    # changes speed, not results.
    config.model.execution = "auto"

    config.loss = ConfigDict()
    # Fraction of the target spread evenly over all classes, in training only.
    config.loss.label_smoothing = 0.0
    # per_step: this weight on the mean loss of all steps, the rest on that of the last step.
    config.loss.step_weight = 0.0
    # A class for every frame: which of them are learnt: all, or only the last known one of each
    # clip (last).
    config.loss.steps = "all"
    # none, or balanced: each class (of several labels: each answer) counts by the inverse of its
    # frequency in training.
    config.loss.class_weights = "none"

    config.optimizer = ConfigDict()
    # adam, adamw, sgd or rmsprop.
    config.optimizer.name = "adam"
    # The peak learning rate; config.schedule shapes it over time.
    config.optimizer.learning_rate = 0.001
    # adam, adamw: decay of the first and second moment.
    config.optimizer.beta1 = 0.9
    config.optimizer.beta2 = 0.999
    # adam, adamw, rmsprop: added to the denominator.
    config.optimizer.epsilon = 1e-08
    # sgd, rmsprop: momentum.
    config.optimizer.momentum = 0.0
    # rmsprop: decay of the squared gradient's average.
    config.optimizer.decay = 0.9
    # adamw, sgd, rmsprop: decoupled weight decay, on kernels only, not on biases.
    config.optimizer.weight_decay = 0.0
    # Learning rate of a backbone that learns (config.model.backbone_trainable), as a fraction of
    # that of the rest.
    config.optimizer.backbone_scale = 0.1
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
    # Also keep the one with the best validation metric; evaluate and predict with it.
    config.checkpoint.keep_best = False
    # By which metric evaluations are compared, also for early stopping: accuracy,
    # balanced_accuracy, f1, auc, map, loss, mae, rmse or r2, as far as the targets have it. auto is
    # accuracy; of a class for every frame and of several labels map, of numbers mae, of texts the
    # character error rate.
    config.checkpoint.best_metric = "auto"

    config.early_stopping = ConfigDict()
    # Stop after this many evaluations in a row without a better validation metric (0 = never).
    config.early_stopping.patience = 0

    return config
