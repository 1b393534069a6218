/* Coroutines over epoll: one scheduler for each thread, timers, barriers that all sessions pass. */
#include "load.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

void co_switch(void **save, void *load);
#if defined(__x86_64__)
__asm__(".text\n.globl co_switch\n.type co_switch,@function\nco_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size co_switch,.-co_switch\n.section .note.GNU-stack,\"\",@progbits\n.text\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl co_switch\n.type co_switch,@function\nco_switch:\n"
        "sub sp,sp,#160\n"
        "stp x19,x20,[sp,#0]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\n"
        "stp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp,#0]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\n"
        "ldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#160\nret\n.size co_switch,.-co_switch\n"
        ".section .note.GNU-stack,\"\",@progbits\n.text\n");
#else
#error "co_switch is written for x86-64 and aarch64 only"
#endif

#define STACK (192 * 1024)
static __thread struct worker *tw;

static void co_entry(void)
{
    struct co *c = tw->cur;
    c->fn(c->arg);
    c->dead = true;
    void *junk;
    co_switch(&junk, c->w->sp);
    abort();
}

static void co_ready(struct co *c)
{
    struct worker *w = c->w;
    c->next = NULL;
    if (w->runtail)
        w->runtail->next = c;
    else
        w->runhead = c;
    w->runtail = c;
}

struct co *co_start(struct worker *w, void (*fn)(void *), void *arg)
{
    struct co *c = xmalloc(sizeof *c);
    memset(c, 0, sizeof *c);
    c->w = w;
    c->fn = fn;
    c->arg = arg;
    c->heap = -1;
    if (w->nfreestacks) {
        c->stack = w->freestacks[--w->nfreestacks];
    } else {
        c->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (c->stack == MAP_FAILED)
            die("no memory for a stack: %s", strerror(errno));
        mprotect(c->stack, 4096, PROT_NONE);
    }
    uintptr_t top = ((uintptr_t)c->stack + STACK) & ~(uintptr_t)15;
#if defined(__x86_64__)
    void **sp = (void **)top;
    *--sp = NULL; /* so that rsp is 8 mod 16 at entry */
    *--sp = (void *)(uintptr_t)co_entry;
    for (int i = 0; i < 6; i++)
        *--sp = NULL;
    c->sp = sp;
#else
    void **sp = (void **)(top - 160);
    memset(sp, 0, 160);
    sp[11] = (void *)(uintptr_t)co_entry;
    c->sp = sp;
#endif
    w->alive++;
    co_ready(c);
    return c;
}

void co_park(struct worker *w)
{
    struct co *c = w->cur;
    co_switch(&c->sp, w->sp);
}

/* timers: a binary heap on wake */
static void heap_put(struct worker *w, int i, struct co *c)
{
    w->heap[i] = c;
    c->heap = i;
}
static void heap_up(struct worker *w, int i)
{
    struct co *c = w->heap[i];
    while (i && w->heap[(i - 1) / 2]->wake > c->wake) {
        heap_put(w, i, w->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(w, i, c);
}
static void heap_down(struct worker *w, int i)
{
    struct co *c = w->heap[i];
    for (;;) {
        int k = 2 * i + 1;
        if (k >= w->nheap)
            break;
        if (k + 1 < w->nheap && w->heap[k + 1]->wake < w->heap[k]->wake)
            k++;
        if (w->heap[k]->wake >= c->wake)
            break;
        heap_put(w, i, w->heap[k]);
        i = k;
    }
    heap_put(w, i, c);
}
static struct co *heap_pop(struct worker *w)
{
    struct co *c = w->heap[0];
    struct co *last = w->heap[--w->nheap];
    if (w->nheap) {
        heap_put(w, 0, last);
        heap_down(w, 0);
    }
    c->heap = -1;
    return c;
}
void co_sleep(struct worker *w, uint64_t ns)
{
    struct co *c = w->cur;
    c->wake = now_ns() + ns;
    if (w->nheap == w->capheap) {
        w->capheap = w->capheap ? 2 * w->capheap : 64;
        w->heap = xrealloc(w->heap, sizeof(struct co *) * (size_t)w->capheap);
    }
    heap_put(w, w->nheap++, c);
    heap_up(w, w->nheap - 1);
    co_park(w);
}

/* barriers: each session passes barriers 1, 2, ... in order; a session that
 * ends early leaves, so that the others do not wait for it */
#define MAXBARRIER 64
static atomic_int bar_sessions, bar_arrived[MAXBARRIER];
static atomic_ullong bar_time[MAXBARRIER];
void barrier_setup(int n)
{
    atomic_store(&bar_sessions, n);
}
static bool bar_open(int k)
{
    if (atomic_load(&bar_arrived[k]) < atomic_load(&bar_sessions))
        return false;
    unsigned long long zero = 0;
    if (!atomic_load(&bar_time[k]) &&
        atomic_compare_exchange_strong(&bar_time[k], &zero, now_ns())) {
        if (k == 1) {
            run_started();
            uint64_t t = now_ns();
            atomic_store(&bar_time[1], t);
            if (cfg.secs > 0)
                g_deadline = t + (uint64_t)(cfg.secs * 1e9);
        } else if (k == 2) {
            run_ended();
        }
    }
    return true;
}
uint64_t barrier_time(int k)
{
    return atomic_load(&bar_time[k]);
}
void barrier_leave(void)
{
    atomic_fetch_sub(&bar_sessions, 1);
}
void co_barrier(struct worker *w, int k)
{
    atomic_fetch_add(&bar_arrived[k], 1);
    while (!bar_open(k)) {
        w->barrier_no = k;
        w->cur->next = w->parked;
        w->parked = w->cur;
        co_park(w);
    }
}

void worker_init(struct worker *w, int id)
{
    memset(w, 0, sizeof *w);
    w->id = id;
    w->ep = epoll_create1(EPOLL_CLOEXEC);
    w->h = calloc(NHIST, sizeof(struct hist));
    if (w->ep < 0 || !w->h)
        die("epoll: %s", strerror(errno));
}

void worker_loop(struct worker *w)
{
    struct epoll_event ev[256];
    tw = w;
    w->progress = now_ns();
    while (w->alive) {
        while (w->runhead) {
            struct co *c = w->runhead;
            w->runhead = c->next;
            if (!w->runhead)
                w->runtail = NULL;
            w->cur = c;
            co_switch(&w->sp, c->sp);
            if (c->dead) {
                if (w->nfreestacks < 64)
                    w->freestacks[w->nfreestacks++] = c->stack;
                else
                    munmap(c->stack, STACK);
                free(c);
                w->alive--;
            }
        }
        if (!w->alive)
            break;
        if (w->parked && bar_open(w->barrier_no)) {
            struct co *p = w->parked;
            w->parked = NULL;
            while (p) {
                struct co *n = p->next;
                co_ready(p);
                p = n;
            }
            continue;
        }
        int tmo = 1000;
        uint64_t now = now_ns();
        if (w->parked)
            tmo = 1;
        if (w->nheap) {
            uint64_t d = w->heap[0]->wake > now ? w->heap[0]->wake - now : 0;
            d = (d + 999999) / 1000000;
            if ((uint64_t)tmo > d)
                tmo = (int)d;
        }
        int n = epoll_wait(w->ep, ev, 256, tmo);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            c->ev |= ev[i].events;
            if (c->waiter && (c->ev & (c->want | EPOLLERR | EPOLLHUP))) {
                struct co *k = c->waiter;
                c->waiter = NULL;
                co_ready(k);
            }
        }
        if (n > 0)
            w->progress = now;
        while (w->nheap && w->heap[0]->wake <= now) {
            co_ready(heap_pop(w));
            w->progress = now;
        }
        if (!w->listening && now - w->progress > cfg.timeout * 1000000000u) {
            err(w, "nothing happened for %llu s; %d sessions are still waiting; giving up",
                (unsigned long long)cfg.timeout, w->alive);
            w->errors += (uint64_t)w->alive;
            return;
        }
    }
}
