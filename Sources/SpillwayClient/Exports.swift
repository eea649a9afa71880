// A program that sends needs one import: the typed records and the frames come with it.

@_exported import FrameCodec
@_exported import MetricKinds
