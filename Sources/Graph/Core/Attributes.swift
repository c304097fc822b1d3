/// The name of an attribute of a known operator, as ONNX spells it. Attributes of unknown operators stay in their bytes.
public enum AttributeName: String, Sendable, Hashable, CaseIterable {
  case accuracyLevel = "accuracy_level"
  case activation, activations, allowzero, alpha, antialias, axes, axis
  case activationAlpha = "activation_alpha"
  case activationBeta = "activation_beta"
  case activationGamma = "activation_gamma"
  case activationParameters = "activation_params"
  case alignCorners = "align_corners"
  case approximate
  case autoPad = "auto_pad"
  case batchDims = "batch_dims"
  case batchAxis = "batch_axis"
  case beta, bias, bits
  case blockSize = "block_size"
  case blocksize, border
  case causal
  case ceilMode = "ceil_mode"
  case centerPointBox = "center_point_box"
  case channelsLast = "channels_last"
  case clip
  case coordinateTransformationMode = "coordinate_transformation_mode"
  case countIncludePad = "count_include_pad"
  case cubicCoefficientA = "cubic_coeff_a"
  case detectNegative = "detect_negative"
  case detectPositive = "detect_positive"
  case dilations, direction
  case doRotary = "do_rotary"
  case dataType = "dtype"
  case epsilon, equation, exclusive
  case excludeOutside = "exclude_outside"
  case extrapolationValue = "extrapolation_value"
  case fmod, gamma, group
  case hiddenSize = "hidden_size"
  case high
  case inputForget = "input_forget"
  case interleaved, inverse
  case isCausal = "is_causal"
  case isPackedBatching = "is_packed_batching"
  case k
  case keepAspectRatioPolicy = "keep_aspect_ratio_policy"
  case keepDims = "keepdims"
  case kernelShape = "kernel_shape"
  case keyQuantisation = "k_quant_type"
  case keyValueBits = "kv_cache_bit_width"
  case kvNumHeads = "kv_num_heads"
  case lambd, largest, layout
  case linearBeforeReset = "linear_before_reset"
  case leftWindowSize = "left_window_size"
  case localWindowSize = "local_window_size"
  case low
  case maskFilterValue = "mask_filter_value"
  case maskIndexType = "mask_index_type"
  case mean, mode, momentum
  case nearestMode = "nearest_mode"
  case negSlope = "neg_slope"
  case newAxis = "new_axis"
  case noopWithEmptyAxes = "noop_with_empty_axes"
  case numGroups = "num_groups"
  case numHeads = "num_heads"
  case numOutputs = "num_outputs"
  case offsetGroup = "offset_group"
  case onesided
  case opset
  case outputDataType = "output_dtype"
  case outputHeight = "output_height"
  case outputPadding = "output_padding"
  case outputShape = "output_shape"
  case outputWidth = "output_width"
  case p
  case packedContracted = "K"
  case packedResults = "N"
  case paddingMode = "padding_mode"
  case pads
  case pastPresentShareBuffer = "past_present_share_buffer"
  case perm, pooledShape = "pooled_shape"
  case precision
  case qNumHeads = "q_num_heads"
  case qkMatmulOutputMode = "qk_matmul_output_mode"
  case queryKeyNormEpsilon = "qk_norm_epsilon"
  case queryKeyOutput = "qk_output"
  case qkvHiddenSizes = "qkv_hidden_sizes"
  case ratio, reduction, reverse
  case rightWindowSize = "right_window_size"
  case roundMode = "round_mode"
  case rotaryEmbeddingDim = "rotary_embedding_dim"
  case rotaryInterleaved = "rotary_interleaved"
  case sampleSize = "sample_size"
  case samplingRatio = "sampling_ratio"
  case saturate, scale, scales
  case scaleBaseAttribute = "scale_base"
  case seed, select
  case selectLastIndex = "select_last_index"
  case shape, size, softcap
  case slidingWindowCache = "sliding_window_cache"
  case smoothSoftmax = "smooth_softmax"
  case softmaxPrecision = "softmax_precision"
  case sorted
  case spatialScale = "spatial_scale"
  case split
  case starts, ends, steps
  case stashType = "stash_type"
  case storageOrder = "storage_order"
  case strides
  case start, end
  case theta
  case timeAxis = "time_axis"
  case to
  case trainingMode = "training_mode"
  case transA, transB, transBatchA, transBatchB
  case unidirectional
  /// Of attention that prunec has recognised, what a query gives that sees no key: see `UnseenKeys`.
  case unseenKeys = "prunec_unseen_keys"
  case upper
  case value
  case valueFloat = "value_float"
  case valueFloats = "value_floats"
  case valueInt = "value_int"
  case valueInts = "value_ints"
  case valueString = "value_string"
  case valueQuantisation = "v_quant_type"
  case valueStrings = "value_strings"
  case weightPrepacked = "weight_prepacked"
}

/// The value of an attribute. Text is bytes in ONNX; what is not UTF-8 stays in `raw`.
public enum AttributeValue: Sendable {
  case int(Int)
  case float(Float)
  case string(String)
  case ints([Int])
  case floats([Float])
  case strings([String])
  case tensor(TensorType, TensorData)
  /// Bytes of the attribute's protobuf message, where prunec has no use for its meaning (subgraphs, sparse tensors, types).
  case raw([UInt8])
}

extension AttributeValue: Equatable {
  /// Equal kind and numbers (floats by their bits, tensors by type and identity of their bytes).
  public static func == (a: AttributeValue, b: AttributeValue) -> Bool {
    switch (a, b) {
    case (.int(let x), .int(let y)): x == y
    case (.float(let x), .float(let y)): x.bitPattern == y.bitPattern
    case (.string(let x), .string(let y)): x == y
    case (.ints(let x), .ints(let y)): x == y
    case (.floats(let x), .floats(let y)): x.map(\.bitPattern) == y.map(\.bitPattern)
    case (.strings(let x), .strings(let y)): x == y
    case (.tensor(let s, let x), .tensor(let t, let y)): s == t && x.isIdentical(to: y)
    case (.raw(let x), .raw(let y)): x == y
    case (.int, _), (.float, _), (.string, _), (.ints, _), (.floats, _), (.strings, _), (.tensor, _), (.raw, _): false
    }
  }
}

/// The attributes of a node in the order they were given: a handful, so a list is faster than a table.
public struct Attributes: Sendable, Equatable {
  /// One attribute with its name.
  public struct Entry: Sendable, Equatable {
    /// The attribute's name.
    public let name: AttributeName
    /// Its value.
    public var value: AttributeValue
    /// A name with a value.
    public init(_ name: AttributeName, _ value: AttributeValue) {
      self.name = name
      self.value = value
    }
  }

  /// All entries, in order.
  public private(set) var entries: [Entry]

  /// The given entries.
  public init(_ entries: [Entry] = []) { self.entries = entries }

  /// The value of an attribute; setting nil removes it, setting a new one appends it.
  public subscript(_ name: AttributeName) -> AttributeValue? {
    get { entries.first { $0.name == name }?.value }
    set {
      let at = entries.firstIndex { $0.name == name }
      switch (at, newValue) {
      case (let at?, let value?): entries[at].value = value
      case (let at?, nil): entries.remove(at: at)
      case (nil, let value?): entries.append(Entry(name, value))
      case (nil, nil): break
      }
    }
  }

  /// A whole number, where the attribute is one.
  public func int(_ name: AttributeName) -> Int? {
    if case .int(let value)? = self[name] { value } else { nil }
  }

  /// Whole numbers, where the attribute is a list of them.
  public func ints(_ name: AttributeName) -> [Int]? {
    if case .ints(let value)? = self[name] { value } else { nil }
  }

  /// A real number, where the attribute is one.
  public func float(_ name: AttributeName) -> Float? {
    if case .float(let value)? = self[name] { value } else { nil }
  }

  /// Real numbers, where the attribute is a list of them.
  public func floats(_ name: AttributeName) -> [Float]? {
    if case .floats(let value)? = self[name] { value } else { nil }
  }

  /// Text, where the attribute is text.
  public func string(_ name: AttributeName) -> String? {
    if case .string(let value)? = self[name] { value } else { nil }
  }

  /// A truth value, which ONNX writes as 0 or 1.
  public func flag(_ name: AttributeName, default value: Bool = false) -> Bool { int(name).map { $0 != 0 } ?? value }
}
