import Foundation

// A reader that goes away (`prunec groups m.onnx | head`) is no failure.
signal(SIGPIPE, SIG_IGN)
exit(Command.run(Array(CommandLine.arguments.dropFirst())))
