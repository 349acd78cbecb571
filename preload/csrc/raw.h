/* raw: system calls without libc.
 *
 * MUST NOT touch errno: the result is the kernel's own, a negative errno on failure.
 * MUST NOT be a cancellation point, take a lock or use thread-local storage.
 */
#ifndef RAMPART_RAW_H
#define RAMPART_RAW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if !defined(__linux__)
#error "librampart.so is for Linux"
#endif

#if defined(__x86_64__) && !defined(__ILP32__)

static inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* WHY not the compiler's own: on aarch64 that is a call into a library. */
static inline int raw_exchange(int *at, int value) {
    __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*at) : : "memory");
    return value;
}

#elif defined(__aarch64__)

static inline long raw_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

static inline int raw_exchange(int *at, int value) {
    int old;
    int failed;
    do {
        __asm__ volatile("ldaxr %w0, %2\n\tstlxr %w1, %w3, %2"
                         : "=&r"(old), "=&r"(failed), "+Q"(*at)
                         : "r"(value)
                         : "memory");
    } while (failed);
    return old;
}

#else
#error "librampart.so knows x86-64 and aarch64"
#endif

#ifndef SYS_faccessat2 /* the same number everywhere; missing from older headers */
#define SYS_faccessat2 439
#endif

#define RAW_FAILED(result) ((unsigned long)(result) > -4096UL)
#define raw1(n, a) raw_call((n), (long)(a), 0, 0, 0, 0, 0)
#define raw2(n, a, b) raw_call((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define raw3(n, a, b, c) raw_call((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define raw4(n, a, b, c, d) raw_call((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define raw5(n, a, b, c, d, e) \
    raw_call((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define raw6(n, a, b, c, d, e, f) \
    raw_call((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
