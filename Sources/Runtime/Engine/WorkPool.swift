import Foundation
import Synchronization

/// Threads that share out the pieces of one piece of work at a time.
///
/// Which thread does which piece changes from run to run; what a piece computes must not depend on that. A pool serves one caller at a time.
public final class WorkPool: Sendable {
  /// How many threads work, the caller's included.
  public let threads: Int
  private let workers: [Worker]
  private let shared = Shared()

  /// A pool of `threads` threads, one of which is the caller's.
  public init(threads: Int) {
    self.threads = max(1, threads)
    workers = (1..<max(1, threads)).map { Worker(number: $0) }
    for worker in workers {
      let shared = shared
      let thread = Thread { worker.serve(shared) }
      thread.stackSize = 1 << 21
      thread.name = "prunec"
      thread.start()
    }
  }

  deinit {
    shared.isOver.store(true, ordering: .relaxed)
    shared.generation.add(1, ordering: .sequentiallyConsistent)
    for worker in workers { worker.wake() }
  }

  /// Calls `piece` once for every number in 0..<count, and returns when all have ended. `worker` numbers the threads from 0, so that each
  /// may have scratch memory of its own.
  public func run(_ count: Int, _ piece: (_ index: Int, _ worker: Int) -> Void) {
    if workers.isEmpty || count <= 1 {
      for index in 0..<max(0, count) { piece(index, 0) }
      return
    }
    withoutActuallyEscaping(piece) { piece in
      withUnsafePointer(to: piece) { pointer in
        shared.piece.store(UInt(bitPattern: pointer), ordering: .relaxed)
        shared.count.store(count, ordering: .relaxed)
        shared.next.store(0, ordering: .relaxed)
        shared.busy.store(workers.count, ordering: .relaxed)
        shared.generation.add(1, ordering: .sequentiallyConsistent)
        for worker in workers { worker.wake() }
        shared.work(as: 0)
        while shared.busy.load(ordering: .acquiring) > 0 { pause() }
      }
    }
  }

  private func pause() { _ = shared.isOver.load(ordering: .relaxed) }

  /// What all threads of a pool see of the present work.
  private final class Shared: Sendable {
    let generation = Atomic<Int>(0)
    let next = Atomic<Int>(0)
    let count = Atomic<Int>(0)
    let busy = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
    /// Address of the closure, valid until `busy` is 0 again.
    let piece = Atomic<UInt>(0)

    func work(as worker: Int) {
      guard let pointer = UnsafePointer<(Int, Int) -> Void>(bitPattern: piece.load(ordering: .relaxed)) else { return }
      let count = count.load(ordering: .relaxed)
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        if index >= count { return }
        pointer.pointee(index, worker)
      }
    }
  }

  /// One further thread: looks for work for a short while, then sleeps until it is woken.
  private final class Worker: Sendable {
    private static let patience = 4000
    private let number: Int
    private let isAsleep = Atomic<Bool>(false)
    private let signal = DispatchSemaphore(value: 0)

    init(number: Int) { self.number = number }

    func wake() {
      if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { signal.signal() }
    }

    func serve(_ shared: Shared) {
      var seen = 0
      while true {
        var turns = 0
        while shared.generation.load(ordering: .acquiring) == seen {
          turns += 1
          guard turns > Self.patience else { continue }
          isAsleep.store(true, ordering: .sequentiallyConsistent)
          if shared.generation.load(ordering: .sequentiallyConsistent) == seen
            || !isAsleep.exchange(false, ordering: .sequentiallyConsistent)
          {
            signal.wait()
          }
          turns = 0
        }
        seen = shared.generation.load(ordering: .acquiring)
        if shared.isOver.load(ordering: .relaxed) { return }
        shared.work(as: number)
        shared.busy.subtract(1, ordering: .releasing)
      }
    }
  }
}
