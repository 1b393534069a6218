/*
 * delay PORT TO-PORT MS: a TCP relay on 127.0.0.1 that passes everything on MS milliseconds later, each way, so that a
 * client sees a round trip of twice that. Bandwidth is not limited.
 *
 * Each line on stdin is answered by a line of JSON, what has passed since the line before: {"connections": n, "up":
 * bytes from clients, "down": bytes to them, "turns": how often a client spoke after the server had}. It ends when
 * stdin does.
 *
 * Two threads for each direction of a connection: one reads and notes when, the other waits and writes. A relay is
 * there for one client; connections are few.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES  (64 * 1024)
#define QUEUED_BYTES (64 * 1024 * 1024) /* on the way in one direction; more waits at the sender */
#define NS_IN_S      1000000000LL

struct piece {
    struct piece *next;
    int64_t due_ns;
    size_t size; /* 0: the sender has ended */
    char data[];
};

struct connection;

struct direction {
    struct connection *connection;
    int from, to;
    bool up;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct piece *first, **last;
    size_t queued;
    bool broken; /* nobody takes more: whoever sends is told by a reset */
};

struct connection {
    struct direction up, down;
    atomic_int users;    /* of the four threads; the last one closes */
    atomic_bool spoke_s; /* the server was the last to speak */
};

static int64_t delay_ns;
static uint16_t to_port;
static atomic_llong connections, bytes_up, bytes_down, turns;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_IN_S + t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void leave(struct connection *c)
{
    if (atomic_fetch_sub(&c->users, 1) > 1)
        return;
    close(c->up.from);
    close(c->up.to);
    free(c);
}

static void count(struct direction *d, size_t n)
{
    atomic_fetch_add(d->up ? &bytes_up : &bytes_down, (long long)n);
    if (atomic_exchange(&d->connection->spoke_s, !d->up) && d->up)
        atomic_fetch_add(&turns, 1);
}

static void *read_side(void *arg)
{
    struct direction *d = arg;
    bool more = true;

    while (more) {
        struct piece *p = malloc(sizeof *p + PIECE_BYTES);
        ssize_t n;

        if (p == NULL)
            die("malloc");
        n = read(d->from, p->data, PIECE_BYTES);
        *p = (struct piece){ .due_ns = now_ns() + delay_ns, .size = n > 0 ? (size_t)n : 0 };
        more = n > 0;
        if (more)
            count(d, p->size);
        pthread_mutex_lock(&d->lock);
        while (d->queued > QUEUED_BYTES && !d->broken)
            pthread_cond_wait(&d->changed, &d->lock);
        more = more && !d->broken;
        d->queued += p->size;
        *d->last = p;
        d->last = &p->next;
        pthread_cond_broadcast(&d->changed);
        pthread_mutex_unlock(&d->lock);
    }
    leave(d->connection);
    return NULL;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static struct piece *take(struct direction *d)
{
    struct piece *p;

    pthread_mutex_lock(&d->lock);
    while (d->first == NULL)
        pthread_cond_wait(&d->changed, &d->lock);
    p = d->first;
    d->first = p->next;
    if (d->first == NULL)
        d->last = &d->first;
    d->queued -= p->size;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return p;
}

static void *write_side(void *arg)
{
    struct direction *d = arg;
    bool ended = false;

    while (!ended) {
        struct piece *p = take(d);
        struct timespec due = { p->due_ns / NS_IN_S, p->due_ns % NS_IN_S };

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        ended = p->size == 0;
        if (!ended && !d->broken && !write_all(d->to, p->data, p->size)) {
            pthread_mutex_lock(&d->lock);
            d->broken = true;
            pthread_cond_broadcast(&d->changed);
            pthread_mutex_unlock(&d->lock);
            shutdown(d->from, SHUT_RD);
        }
        free(p);
    }
    shutdown(d->to, SHUT_WR);
    leave(d->connection);
    return NULL;
}

static void direction_init(struct direction *d, struct connection *c, int from, int to, bool up)
{
    *d = (struct direction){ .connection = c, .from = from, .to = to, .up = up };
    d->last = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
}

static void start(void *(*run)(void *), struct direction *d)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, d) != 0)
        die("pthread_create");
    pthread_detach(thread);
}

static struct sockaddr_in address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
}

static void relay(int client)
{
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in to = address(to_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (c == NULL || server < 0)
        die("a connection");
    if (connect(server, (struct sockaddr *)&to, sizeof to) != 0) {
        close(server);
        close(client);
        free(c);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    atomic_fetch_add(&connections, 1);
    direction_init(&c->up, c, client, server, true);
    direction_init(&c->down, c, server, client, false);
    c->users = 4;
    start(read_side, &c->up);
    start(write_side, &c->up);
    start(read_side, &c->down);
    start(write_side, &c->down);
}

static void *accept_all(void *arg)
{
    int listener = *(int *)arg;

    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0)
            relay(client);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at;
    pthread_t thread;
    char line[16];

    if (argc != 4) {
        fprintf(stderr, "usage: delay PORT TO-PORT MS\n");
        return 2;
    }
    at = address((uint16_t)atoi(argv[1]));
    to_port = (uint16_t)atoi(argv[2]);
    delay_ns = (int64_t)(atof(argv[3]) * 1e6);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, SOMAXCONN) != 0)
        die("listen");
    if (pthread_create(&thread, NULL, accept_all, &listener) != 0)
        die("pthread_create");
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("{\"connections\": %lld, \"up\": %lld, \"down\": %lld, \"turns\": %lld}\n",
            atomic_exchange(&connections, 0), atomic_exchange(&bytes_up, 0),
            atomic_exchange(&bytes_down, 0), atomic_exchange(&turns, 0));
        fflush(stdout);
    }
    return 0;
}
