/* Sleeps to each absolute time on standard input (ns of the monotonic clock, one a line, ascending), then prints the lateness of each
   wake-up in ns, one a line. With the argument "fifo" it requests real-time priority and exits with 3 where that is refused. */
#define _POSIX_C_SOURCE 200112L
#define _DARWIN_C_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __APPLE__
#define CLOCK CLOCK_UPTIME_RAW /* the clock of Python's perf_counter there */
#else
#define CLOCK CLOCK_MONOTONIC
#endif

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(long long due_ns) {
#ifdef __APPLE__ /* has no sleep to an absolute time */
    long long left_ns = due_ns - now_ns();
    struct timespec left = {left_ns / 1000000000LL, left_ns % 1000000000LL};
    if (left_ns > 0) nanosleep(&left, NULL);
#else
    struct timespec due = {due_ns / 1000000000LL, due_ns % 1000000000LL};
    while (clock_nanosleep(CLOCK, TIMER_ABSTIME, &due, NULL) == EINTR) {
    }
#endif
}

int main(int argc, char **argv) {
    size_t count = 0, room = 1 << 16;
    long long *due = malloc(room * sizeof *due), *late = malloc(room * sizeof *late);
    if (!due || !late) return 1;
#ifndef __APPLE__
    if (argc > 1 && strcmp(argv[1], "fifo") == 0) {
        struct sched_param priority = {.sched_priority = 2};
        if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) return 3;
    }
#else
    if (argc > 1) return 3;
#endif
    while (count < room && scanf("%lld", &due[count]) == 1) count++;
    for (size_t i = 0; i < count; i++) {
        sleep_until(due[i]);
        late[i] = now_ns() - due[i];
    }
    for (size_t i = 0; i < count; i++) printf("%lld\n", late[i]);
    return 0;
}
