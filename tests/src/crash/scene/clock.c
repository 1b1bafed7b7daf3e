/* Loaded before a program (LD_PRELOAD): the time of day is off by as many seconds as the file TOLLBOOTH_CLOCK_FILE says, at
 * any moment. What measures durations is left alone, as it is where a clock is set. In the file stand three numbers of 8 bytes,
 * of this machine's order: the seconds, and how often somebody looked at a clock that was off, and at one that was right.
 *
 * libfaketime does the same and more. It asks the dynamic linker for the functions behind its own at the first look at a clock;
 * that allocates, and the services' allocator looks at a clock when it begins: they never start under it. This one asks the
 * kernel, and needs nobody. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Later than any machine has run, earlier than any time of day. */
#define TIME_OF_DAY_S 1000000000

struct page {
    _Atomic int64_t off_s;
    _Atomic int64_t looks_off;
    _Atomic int64_t looks_right;
};
static struct page none;
static struct page *page = &none;

static int (*wait_by_pthread)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*wait_by_c)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    wait_by_pthread = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    wait_by_c = dlsym(RTLD_NEXT, "cnd_timedwait");
    const char *path = getenv("TOLLBOOTH_CLOCK_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        page = mapped;
}

static int64_t off(void) { return atomic_load_explicit(&page->off_s, memory_order_relaxed); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t by_s = off();
        atomic_fetch_add_explicit(by_s ? &page->looks_off : &page->looks_right, 1, memory_order_relaxed);
        now->tv_sec += by_s;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (where)
        *where = exact.tv_sec;
    return exact.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

/* A deadline was made from the clock above, and the kernel waits by its own. */
static struct timespec right(const struct timespec *deadline) {
    struct timespec until = *deadline;
    if (until.tv_sec > TIME_OF_DAY_S)
        until.tv_sec -= off();
    return until;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    struct timespec until = right(deadline);
    return wait_by_pthread(cond, mutex, &until);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict deadline) {
    struct timespec until = right(deadline);
    return wait_by_c(cond, mutex, &until);
}
