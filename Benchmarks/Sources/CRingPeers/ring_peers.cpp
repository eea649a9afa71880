#pragma GCC diagnostic error "-Wall"
#include "CRingPeers.h"
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <boost/lockfree/queue.hpp>
#include <cerrno>
#include <chrono>
#include <concurrentqueue/concurrentqueue.h>
#include <cstring>
#include <ctime>
#include <memory>
#include <sched.h>
#include <thread>
#include <vector>

namespace {

constexpr size_t large_page_bytes = size_t{2} << 20;

/// Memory as the ring has it: what is large comes in large pages, if the system gives them on request. For `free`.
void *allocated(size_t size) noexcept {
    if (size < large_page_bytes) return std::malloc(size);
    const size_t rounded = (size + large_page_bytes - 1) / large_page_bytes * large_page_bytes;
    void *memory = std::aligned_alloc(large_page_bytes, rounded);
    // A system that does not know them has small ones.
    if (memory != nullptr) madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
}

template <typename T> struct LargePages {
    using value_type = T;
    LargePages() = default;
    template <typename U> LargePages(const LargePages<U> &) {}
    template <typename U> struct rebind {
        using other = LargePages<U>;
    };
    T *allocate(size_t count) {
        void *memory = allocated(count * sizeof(T));
        if (memory == nullptr) throw std::bad_alloc();
        return static_cast<T *>(memory);
    }
    void deallocate(T *memory, size_t) { std::free(memory); }
    template <typename U> bool operator==(const LargePages<U> &) const { return true; }
    template <typename U> bool operator!=(const LargePages<U> &) const { return false; }
};

template <unsigned bytes> struct Message {
    alignas(8) unsigned char content[bytes];

    uint64_t word() const {
        uint64_t word;
        std::memcpy(&word, content, sizeof(word));
        return word;
    }
};

/// Boost lets the reader copy before it knows that the message is its own: this copies a word and no more.
struct Word {
    uint64_t value = 0;
    Word() = default;
    template <unsigned bytes> Word(const Message<bytes> &message) : value(message.word()) {}
};

template <unsigned bytes, unsigned producers> class Boost {
    // Fixed: indices for pointers, and nothing is allocated.
    boost::lockfree::queue<
        Message<bytes>, boost::lockfree::fixed_sized<true>, boost::lockfree::allocator<LargePages<char>>>
        queue{
        std::min(RING_PEER_ROOM_BYTES / bytes, unsigned{RING_PEER_BOOST_MESSAGES_MAX})};

public:
    struct Producer {
        Boost &peer;
        bool put(const Message<bytes> &message, unsigned) { return peer.queue.push(message); }
    };

    struct Consumer {
        Boost &peer;
        unsigned take(uint64_t &sum, unsigned) {
            Word word;
            if (!peer.queue.pop(word)) return 0;
            sum += word.value;
            return 1;
        }
    };
};

/// What moodycamel assigns messages to: reads a word where the message lies, and copies nothing.
struct WordReader {
    uint64_t *sum;
    WordReader &operator*() noexcept { return *this; }
    WordReader &operator++() noexcept { return *this; }
    WordReader operator++(int) noexcept { return *this; }
    template <unsigned bytes> WordReader &operator=(Message<bytes> &&message) noexcept {
        *sum += message.word();
        return *this;
    }
};

/// One message again and again.
template <unsigned bytes> struct Repeated {
    const Message<bytes> *message;
    const Message<bytes> &operator*() const noexcept { return *message; }
    Repeated &operator++() noexcept { return *this; }
    Repeated operator++(int) noexcept { return *this; }
};

template <unsigned bytes, unsigned producers> class Moodycamel {
    static constexpr unsigned messages_max = RING_PEER_ROOM_BYTES / bytes;

    struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
        // A producer keeps the blocks that it has taken: each is held to its part, or one could take them all.
        static const size_t MAX_SUBQUEUE_SIZE = messages_max / producers;
        static void *malloc(size_t size) { return allocated(size); }
        static void free(void *memory) { std::free(memory); }
    };

    // Two blocks more for each, which may be begun and not full. `try_enqueue` allocates nothing.
    moodycamel::ConcurrentQueue<Message<bytes>, Traits> queue{messages_max + 2 * producers * Traits::BLOCK_SIZE};

public:
    struct Producer {
        Moodycamel &peer;
        moodycamel::ProducerToken token;
        explicit Producer(Moodycamel &peer) : peer(peer), token(peer.queue) {}
        bool put(const Message<bytes> &message, unsigned bulk) {
            return bulk == 1 ? peer.queue.try_enqueue(token, message)
                             : peer.queue.try_enqueue_bulk(token, Repeated<bytes>{&message}, bulk);
        }
    };

    struct Consumer {
        Moodycamel &peer;
        moodycamel::ConsumerToken token;
        explicit Consumer(Moodycamel &peer) : peer(peer), token(peer.queue) {}
        unsigned take(uint64_t &sum, unsigned max) {
            WordReader reader{&sum};
            if (max == 1) return peer.queue.try_dequeue(token, reader) ? 1 : 0;
            return static_cast<unsigned>(peer.queue.try_dequeue_bulk(token, reader, max));
        }
    };
};

/// Fills the queue and empties it: no memory is touched for the first time later, as none of the ring's is. The next
/// producers take over these ones' blocks.
template <typename Peer, unsigned bytes> void warm(Peer &peer, const Message<bytes> &message, unsigned producers) {
    std::vector<std::unique_ptr<typename Peer::Producer>> fillers;
    for (unsigned index = 0; index < producers; index++) {
        fillers.emplace_back(new typename Peer::Producer{peer});
        while (fillers.back()->put(message, 1)) {}
    }
    typename Peer::Consumer consumer{peer};
    uint64_t sum = 0;
    while (consumer.take(sum, RING_PEER_TAKEN_MAX) > 0) {}
}

/// Threads of producers that wait for each other, and the consumer's loop on this one. C and Swift know no exceptions.
template <typename Peer, unsigned bytes>
uint64_t run(unsigned producers, uint64_t per_producer, unsigned put, unsigned taken_max, const int *cores) noexcept {
    Message<bytes> message;
    std::memset(message.content, 7, sizeof(message.content));
    auto peer = std::make_unique<Peer>();
    warm(*peer, message, producers);
    std::atomic<unsigned> arrived{0};
    std::atomic<bool> open{false};
    const auto produce = [&](unsigned index) {
        if (cores != nullptr) ring_peer_stay(cores[1 + index]);
        typename Peer::Producer producer{*peer};
        // A copy of its own, as each of the ring's producers has one in its cache.
        const Message<bytes> own = message;
        // Release, pairs with the acquire load below.
        arrived.fetch_add(1, std::memory_order_release);
        // Acquire, pairs with the release store below.
        while (!open.load(std::memory_order_acquire)) sched_yield();
        for (uint64_t sent = 0; sent < per_producer;) {
            if (producer.put(own, put)) {
                sent += put;
            } else {
                sched_yield();
            }
        }
    };
    std::vector<std::thread> threads;
    threads.reserve(producers);
    for (unsigned index = 0; index < producers; index++) threads.emplace_back(produce, index);
    if (cores != nullptr) ring_peer_stay(cores[0]);
    typename Peer::Consumer consumer{*peer};
    while (arrived.load(std::memory_order_acquire) < producers) sched_yield();
    const auto start = std::chrono::steady_clock::now();
    open.store(true, std::memory_order_release);
    const uint64_t all = per_producer * producers;
    uint64_t received = 0, sum = 0;
    while (received < all) {
        const unsigned taken = consumer.take(sum, taken_max);
        if (taken == 0) sched_yield();
        received += taken;
    }
    const auto elapsed = std::chrono::steady_clock::now() - start;
    for (auto &thread : threads) thread.join();
    if (cores != nullptr) ring_peer_stay(-1);
    if (sum != all * message.word()) return 0;
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
}

template <template <unsigned, unsigned> class Peer, unsigned bytes>
uint64_t run_sized(unsigned producers, uint64_t per_producer, unsigned put, unsigned taken, const int *cores) {
    switch (producers) {
    case 1: return run<Peer<bytes, 1>, bytes>(producers, per_producer, put, taken, cores);
    case 2: return run<Peer<bytes, 2>, bytes>(producers, per_producer, put, taken, cores);
    case RING_PEER_PRODUCERS_MAX:
        return run<Peer<bytes, RING_PEER_PRODUCERS_MAX>, bytes>(producers, per_producer, put, taken, cores);
    default: return 0;
    }
}

template <template <unsigned, unsigned> class Peer>
uint64_t run_peer(
    unsigned producers, uint64_t per_producer, unsigned message_bytes, unsigned put, unsigned taken, const int *cores) {
    switch (message_bytes) {
    case 64: return run_sized<Peer, 64>(producers, per_producer, put, taken, cores);
    case 1400: return run_sized<Peer, 1400>(producers, per_producer, put, taken, cores);
    default: return 0;
    }
}

/// The calling thread's CPU time in nanoseconds.
uint64_t thread_nanoseconds() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

template <unsigned bytes>
bool alone(
    unsigned rounds, unsigned messages, unsigned put, uint64_t &put_nanoseconds, uint64_t &take_nanoseconds) noexcept {
    using Peer = Moodycamel<bytes, 1>;
    Message<bytes> message;
    std::memset(message.content, 7, sizeof(message.content));
    auto peer = std::make_unique<Peer>();
    warm(*peer, message, 1);
    typename Peer::Producer producer{*peer};
    typename Peer::Consumer consumer{*peer};
    uint64_t sum = 0;
    for (unsigned round = 0; round < rounds; round++) {
        const uint64_t start = thread_nanoseconds();
        for (unsigned sent = 0; sent < messages; sent += put) {
            if (!producer.put(message, put)) return false;
        }
        const uint64_t between = thread_nanoseconds();
        put_nanoseconds += between - start;
        for (unsigned received = 0; received < messages;) {
            const unsigned taken = consumer.take(sum, RING_PEER_TAKEN_MAX);
            if (taken == 0) return false;
            received += taken;
        }
        take_nanoseconds += thread_nanoseconds() - between;
    }
    return sum == uint64_t{rounds} * messages * message.word();
}

} // namespace

uint64_t ring_peer_run(
    enum ring_peer kind, unsigned producers, uint64_t messages_per_producer, unsigned message_bytes, unsigned put,
    unsigned taken, const int *cores) {
    if (put == 0 || taken == 0 || taken > RING_PEER_TAKEN_MAX || messages_per_producer % put != 0) return 0;
    if (kind != RING_PEER_BOOST) {
        return run_peer<Moodycamel>(producers, messages_per_producer, message_bytes, put, taken, cores);
    }
    if (put != 1 || taken != 1) return 0;
    return run_peer<Boost>(producers, messages_per_producer, message_bytes, put, taken, cores);
}

bool ring_peer_alone(
    unsigned rounds, unsigned messages, unsigned message_bytes, unsigned put, uint64_t *put_nanoseconds,
    uint64_t *take_nanoseconds) {
    if (put == 0 || messages % put != 0) return false;
    switch (message_bytes) {
    case 64: return alone<64>(rounds, messages, put, *put_nanoseconds, *take_nanoseconds);
    case 1400: return alone<1400>(rounds, messages, put, *put_nanoseconds, *take_nanoseconds);
    default: return false;
    }
}

void ring_peer_stay(int core) {
    // What the program may use, before the first thread was told to stay.
    static const cpu_set_t all = [] {
        cpu_set_t cores;
        CPU_ZERO(&cores);
        if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
            std::perror("the cores of this program");
            std::_Exit(1);
        }
        return cores;
    }();
    cpu_set_t cores = all;
    if (core >= 0) {
        CPU_ZERO(&cores);
        if (core < CPU_SETSIZE) CPU_SET(core, &cores);
    }
    if (sched_setaffinity(0, sizeof(cores), &cores) == 0) return;
    std::fprintf(stderr, "a thread cannot stay on core %d: %s\n", core, std::strerror(errno));
    std::_Exit(1);
}
