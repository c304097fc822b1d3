/// What an attribute's value may be.
public enum AttributeKind: Sendable, Hashable {
  case int, float, string, ints, floats, strings, tensor
}

extension AttributeValue {
  /// What the value is; nil for bytes that prunec does not look into, which may be anything.
  public var kind: AttributeKind? {
    switch self {
    case .int: .int
    case .float: .float
    case .string: .string
    case .ints: .ints
    case .floats: .floats
    case .strings: .strings
    case .tensor: .tensor
    case .raw: nil
    }
  }
}

extension AttributeName {
  /// What ONNX lets the attribute be, in all operators that have one of that name. An empty list has no kind of its own in some files,
  /// so lists stand for each other when they are empty.
  public var kinds: Set<AttributeKind> {
    switch self {
    case .activation, .approximate, .autoPad, .coordinateTransformationMode, .direction, .equation, .keepAspectRatioPolicy,
      .mode, .nearestMode, .keyQuantisation, .paddingMode, .reduction, .valueQuantisation, .valueString:
      [.string]
    case .roundMode, .precision, .select: [.string, .int]
    case .activations, .valueStrings: [.strings]
    case .alpha, .beta, .bias, .clip, .cubicCoefficientA, .epsilon, .extrapolationValue, .gamma, .high, .lambd, .low,
      .maskFilterValue,
      .mean, .momentum, .negSlope, .queryKeyNormEpsilon, .ratio, .scaleBaseAttribute, .softcap, .spatialScale, .theta,
      .valueFloat:
      [.float]
    case .scale: [.float, .floats]
    case .seed: [.float, .int]
    case .activationAlpha, .activationBeta: [.floats, .float]
    case .activationGamma: [.float]
    case .activationParameters, .scales, .valueFloats: [.floats]
    case .border: [.floats, .float, .ints]
    case .allowzero, .antialias, .alignCorners, .axis, .batchAxis, .batchDims, .bits, .accuracyLevel, .causal, .keyValueBits,
      .maskIndexType, .queryKeyOutput, .slidingWindowCache, .weightPrepacked, .blockSize,
      .blocksize,
      .ceilMode, .centerPointBox, .channelsLast, .countIncludePad, .dataType, .detectNegative, .detectPositive, .doRotary,
      .excludeOutside,
      .exclusive, .fmod, .group, .hiddenSize, .inputForget, .interleaved, .inverse, .isCausal, .isPackedBatching,
      .k, .packedContracted,
      .packedResults, .keepDims, .kvNumHeads, .largest, .layout, .leftWindowSize, .linearBeforeReset, .localWindowSize, .newAxis,
      .noopWithEmptyAxes, .numGroups, .numHeads, .numOutputs, .offsetGroup, .onesided, .opset, .outputDataType, .outputHeight,
      .outputWidth, .p,
      .pastPresentShareBuffer, .qNumHeads, .qkMatmulOutputMode, .reverse, .rightWindowSize, .rotaryEmbeddingDim,
      .rotaryInterleaved, .sampleSize, .samplingRatio, .saturate, .selectLastIndex, .size, .smoothSoftmax, .softmaxPrecision,
      .sorted,
      .stashType, .storageOrder, .timeAxis, .to, .trainingMode, .transA, .transB, .transBatchA, .transBatchB, .unidirectional,
      .unseenKeys,
      .upper,
      .valueInt:
      [.int]
    case .axes, .start, .end: [.ints, .int]
    case .dilations, .kernelShape, .outputPadding, .outputShape, .pads, .perm, .pooledShape, .qkvHiddenSizes, .shape, .split,
      .starts,
      .ends, .steps, .strides, .valueInts:
      [.ints]
    case .value: [.tensor, .float, .int]
    }
  }
}
