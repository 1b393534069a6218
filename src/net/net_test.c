/* Parking, running, waking, deadlines, limits and the stop, over real sockets on loopback. */
#include "net/conn_int.h"
#include "net/net_echo_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static void test_ping(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    for (int i = 0; i < 100; i++) {
        assert_ok(dial_sendf(dial, "PING %d\r\n", i));
        char wanted[32];
        snprintf(wanted, sizeof wanted, "PONG %d", i);
        expect_line(dial, wanted);
    }
    assert_ok(dial_send(dial, SLICE("PING a\r\nPING b\r\nQUIT\r\n")));
    expect_line(dial, "PONG a");
    expect_line(dial, "PONG b");
    expect_line(dial, "BYE");
    expect_end(dial);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* Every byte alone, with time enough in between for the connection to be parked. */
static void test_bytewise(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    static const char text[] = "PING one\r\nPING two\r\nTLS\r\nQUIT\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_ok(dial_send(dial, slice_from(text + i, 1)));
        poll(NULL, 0, i % 4 == 0 ? 3 : 0);
    }
    expect_line(dial, "PONG one");
    expect_line(dial, "PONG two");
    expect_line(dial, "TLS ");
    expect_line(dial, "BYE");
    expect_end(dial);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* ---- many clients ---- */

struct client {
    struct echo_server *server;
    pthread_t thread;
    int rounds;
    int failed;
};

static void *client_run(void *arg)
{
    struct client *client = arg;
    struct dial *dial = NULL;
    struct slice line;
    if (dial_open("127.0.0.1", client->server->port, DIAL_PLAIN, NULL, 8000, &dial, NULL) !=
            ERR_OK ||
        dial_line(dial, &line) != ERR_OK) {
        client->failed = 1;
        dial_close(dial);
        return NULL;
    }
    for (int i = 0; i < client->rounds && !client->failed; i++)
        client->failed = dial_sendf(dial, "PING %d\r\n", i) != ERR_OK ||
                         dial_line(dial, &line) != ERR_OK || !slice_starts(line, SLICE("PONG "));
    dial_close(dial);
    return NULL;
}

static void test_many_clients(void **state)
{
    (void)state;
    /* Fewer threads than clients: they must share. */
    struct net_options options = { .threads = 4, .linger_ms = 1 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct client clients[16];
    for (int i = 0; i < 16; i++) {
        clients[i] = (struct client){ .server = server, .rounds = 200 };
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].failed, 0);
    }
    assert_int_equal(net_stats(server->net).accepted, 16);
    echo_stop(server, 1000);
}

/* ---- wakes ---- */

#define STORM_CONNS 8
#define STORM_WAKES 2000

static void *storm_run(void *arg)
{
    struct echo_server *server = arg;
    for (int i = 0; i < STORM_WAKES; i++) {
        atomic_fetch_add(&server->published, 1);
        for (size_t c = 0; c < STORM_CONNS; c++)
            conn_wake(server->conns[c]);
        if (i % 64 == 0)
            poll(NULL, 0, 1); /* let them park */
    }
    return NULL;
}

/* Each client hears of the last publication: no wake is lost, whatever the connection was doing. */
static void test_wake_storm(void **state)
{
    (void)state;
    struct net_options options = { .threads = 6, .linger_ms = 1 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *dials[STORM_CONNS];
    for (int i = 0; i < STORM_CONNS; i++)
        dials[i] = echo_dial(server, DIAL_PLAIN);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm_run, server), 0);
    for (int round = 0; round < 50; round++) /* input races with the wakes */
        for (int i = 0; i < STORM_CONNS; i++)
            assert_ok(dial_send(dials[i], SLICE("PING\r\n")));
    for (int i = 0; i < STORM_CONNS; i++) {
        int pongs = 0;
        uint64_t last = 0;
        while (pongs < 50 || last < 2 * STORM_WAKES) {
            struct slice line;
            assert_ok(dial_line(dials[i], &line));
            if (slice_starts(line, SLICE("WOKEN ")))
                assert_ok(slice_to_u64(slice_from_index(line, 6), 1u << 30, &last));
            else
                pongs++;
        }
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < STORM_CONNS; i++)
        dial_close(dials[i]);
    echo_stop(server, 1000);
}

static void test_end_and_late_wake(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    struct conn *conn = conn_ref(server->conns[0]);
    conn_end(conn);
    expect_line(dial, "SHUTDOWN");
    expect_end(dial);
    dial_close(dial);
    while (net_stats(server->net).open)
        poll(NULL, 0, 1);
    /* Its slot is taken by another; a wake for the old one must not reach it. */
    struct dial *next = echo_dial(server, DIAL_PLAIN);
    conn_end(conn);
    assert_ok(dial_send(next, SLICE("PING still\r\n")));
    expect_line(next, "PONG still");
    dial_close(next);
    echo_stop(server, 1000);
    conn_end(conn); /* also after net_free */
    conn_unref(conn);
}

/* ---- deadlines ---- */

static void test_deadlines(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    static const int wanted_ms[] = { 400, 100, 250, 50, 300 };
    struct dial *dials[5];
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < 5; i++) {
        dials[i] = echo_dial(server, DIAL_PLAIN);
        assert_ok(dial_sendf(dials[i], "DEADLINE %d\r\n", wanted_ms[i]));
        expect_line(dials[i], "OK");
    }
    for (int i = 0; i < 5; i++) {
        expect_line(dials[i], "TIMEOUT");
        assert_true(clock_mono_ms() - start_ms >= wanted_ms[i]);
        expect_end(dials[i]);
        dial_close(dials[i]);
    }
    int64_t took_ms = clock_mono_ms() - start_ms;
    if (took_ms > HANG_MS)
        fail_msg("400 ms took %lld", (long long)took_ms);

    /* Moved back: the first time is not the one that counts. */
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    for (int i = 0; i < 4; i++) {
        assert_ok(dial_send(dial, SLICE("DEADLINE 150\r\n")));
        expect_line(dial, "OK");
        poll(NULL, 0, 80);
    }
    assert_int_equal(atomic_load(&server->timeouts), 5);
    expect_line(dial, "TIMEOUT");
    expect_end(dial);
    dial_close(dial);
    assert_int_equal(atomic_load(&server->timeouts), 6);
    echo_stop(server, 1000);
}

/* ---- pauses ---- */

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Nothing goes out and nothing is run before its time, in order afterwards; what was pipelined behind waits too. */
static void test_pause(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    int64_t start_ms = clock_mono_ms();
    assert_ok(dial_send(dial, SLICE("PING a\r\nPAUSE 250\r\nPING b\r\n")));
    expect_line(dial, "PONG a"); /* in conn_out with it, so it waits as well */
    assert_true(clock_mono_ms() - start_ms >= 240);
    expect_line(dial, "RESUMED");
    expect_line(dial, "PONG b");
    start_ms = clock_mono_ms();
    assert_ok(dial_send(dial, SLICE("DEADLINE 100\r\nPAUSE 200\r\n")));
    expect_line(dial, "OK"); /* the step's time starts after the pause */
    expect_line(dial, "RESUMED");
    expect_line(dial, "TIMEOUT");
    assert_true(clock_mono_ms() - start_ms >= 290);
    expect_end(dial);
    dial_close(dial);

    dial = echo_dial(server, DIAL_PLAIN);
    start_ms = clock_mono_ms();
    assert_ok(dial_send(dial, SLICE("PAUSEQUIT 200\r\n")));
    poll(NULL, 0, 20);
    assert_ok(dial_send(dial, SLICE("PING late\r\n"))); /* never run */
    expect_line(dial, "RESUMED");
    expect_end(dial);
    assert_true(clock_mono_ms() - start_ms >= 190);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* A wake in a pause is told after it. */
static void test_pause_and_wake(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(dial, SLICE("PAUSE 200\r\n")));
    poll(NULL, 0, 50);
    atomic_store(&server->published, 7);
    conn_wake(server->conns[0]);
    expect_line(dial, "RESUMED");
    expect_line(dial, "WOKEN 7");
    dial_close(dial);
    echo_stop(server, 1000);
}

/* Far more pauses than threads, each with input behind it: no thread is held and others are served; the stop ends them all with a word. */
static void test_pauses_hold_no_thread(void **state)
{
    (void)state;
    enum {
        COUNT = 40
    };
    struct net_options options = { .threads = 4 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *paused[COUNT];
    for (int i = 0; i < COUNT; i++) {
        paused[i] = echo_dial(server, DIAL_PLAIN);
        assert_ok(dial_send(paused[i], SLICE("PAUSE 200000\r\nPING never\r\n")));
    }
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    for (int i = 0; i < 100; i++) {
        assert_ok(dial_send(dial, SLICE("PING x\r\n")));
        expect_line(dial, "PONG x");
    }
    int64_t start_ms = clock_mono_ms();
    while (net_stats(server->net).parked < COUNT + 1) {
        assert_true(clock_mono_ms() - start_ms < HANG_MS);
        poll(NULL, 0, 5);
    }
    net_stop(server->net, 5000);
    assert_int_equal(atomic_load(&server->shutdowns), COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        expect_line(paused[i], "RESUMED");
        expect_line(paused[i], "SHUTDOWN");
        expect_end(paused[i]);
        dial_close(paused[i]);
    }
    dial_close(dial);
    echo_stop(server, 1000);
}

/* A peer that breaks off in its pause is let go at once; input that nobody reads meanwhile does not spin. */
static void test_pause_of_a_broken_peer(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)server->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    char greeting[7];
    assert_int_equal(recv(fd, greeting, 7, MSG_WAITALL), 7);
    assert_int_equal(send(fd, "PAUSE 200000\r\n", 14, MSG_NOSIGNAL), 14);
    poll(NULL, 0, 50);
    assert_int_equal(send(fd, "PING\r\n", 6, MSG_NOSIGNAL), 6);
    double start = cpu_ms();
    poll(NULL, 0, 350);
    double burnt = cpu_ms() - start;
    assert_int_equal(net_stats(server->net).open, 1);
    struct linger reset = { .l_onoff = 1 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    int64_t start_ms = clock_mono_ms();
    while (net_stats(server->net).open) {
        assert_true(clock_mono_ms() - start_ms < HANG_MS);
        poll(NULL, 0, 5);
    }
    assert_int_equal(atomic_load(&server->shutdowns), 0);
    if (burnt > 100)
        fail_msg("%.0f ms of processor time while paused", burnt);
    echo_stop(server, 1000);
}

/* ---- output ---- */

static void test_big_and_slow(void **state)
{
    (void)state;
    struct net_options options = { .write_ms = 300 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    struct buf got;
    buf_init(&got, 0);
    assert_ok(dial_send(dial, SLICE("BIG 8000000\r\nPING after\r\n")));
    poll(NULL, 0, 100); /* the server is stuck meanwhile, but makes progress in time */
    assert_ok(dial_bytes(dial, 8000002, &got));
    assert_int_equal(got.end - got.start, 8000002);
    assert_int_equal(got.mem[got.start + 7999999], 'x');
    expect_line(dial, "PONG after");
    buf_done(&got);

    struct dial *slow = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(slow, SLICE("BIG 100000000\r\n")));
    int64_t start_ms = clock_mono_ms();
    while (atomic_load(&server->flush_timeouts) == 0) {
        assert_true(clock_mono_ms() - start_ms < HANG_MS);
        poll(NULL, 0, 5);
    }
    assert_ok(dial_send(dial, SLICE("PING others\r\n"))); /* nobody else noticed */
    expect_line(dial, "PONG others");
    dial_close(slow);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* More clients than threads take no answers: the next one is served all the same, long before write_ms. */
static void test_slow_crowd(void **state)
{
    (void)state;
    struct net_options options = { .threads = 4 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *slow[4];
    for (int i = 0; i < 4; i++)
        slow[i] = echo_dial(server, DIAL_PLAIN);
    int64_t start_ms = clock_mono_ms();
    for (int i = 0; i < 4; i++)
        assert_ok(dial_send(slow[i], SLICE("BIG 100000000\r\n")));
    poll(NULL, 0, 50);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(dial, SLICE("PING\r\n")));
    expect_line(dial, "PONG ");
    int64_t took_ms = clock_mono_ms() - start_ms;
    if (took_ms > HANG_MS)
        fail_msg("served after %lld ms", (long long)took_ms);
    dial_close(dial);
    for (int i = 0; i < 4; i++)
        dial_close(slow[i]);
    echo_stop(server, 1000);
}

/* The last answer arrives although input was left unread: a plain close would send RST after it. */
static void test_last_answer(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    for (int i = 0; i < 20; i++) {
        struct dial *dial = echo_dial(server, DIAL_PLAIN);
        struct buf pipelined;
        buf_init(&pipelined, 0);
        buf_adds(&pipelined, "QUIT\r\n");
        for (int line = 0; line < 4000; line++)
            buf_adds(&pipelined, "PING more\r\n");
        assert_ok(dial_send(dial, buf_slice(&pipelined)));
        poll(NULL, 0, 5);
        expect_line(dial, "BYE");
        expect_end(dial);
        dial_close(dial);
        buf_done(&pipelined);
    }
    echo_stop(server, 1000);
}

/* A connection whose peer never closes is given up. */
static void test_drain_ends(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(dial, SLICE("QUIT\r\n")));
    expect_line(dial, "BYE");
    int64_t start_ms = clock_mono_ms();
    while (net_stats(server->net).open) {
        assert_true(clock_mono_ms() - start_ms < HANG_MS);
        poll(NULL, 0, 10);
    }
    dial_close(dial);
    echo_stop(server, 1000);
}

/* ---- limits ---- */

static void test_total_limit(void **state)
{
    (void)state;
    struct net_options options = { .connections_max = 3 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *dials[3], *more = NULL;
    for (int i = 0; i < 3; i++)
        dials[i] = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_open("127.0.0.1", server->port, DIAL_PLAIN, NULL, 3000, &more, NULL));
    expect_end(more);
    dial_close(more);
    assert_int_equal(net_stats(server->net).refused, 1);
    dial_close(dials[0]);
    while (net_stats(server->net).open == 3)
        poll(NULL, 0, 1);
    dials[0] = echo_dial(server, DIAL_PLAIN);
    for (int i = 0; i < 3; i++)
        dial_close(dials[i]);
    echo_stop(server, 1000);
}

static void peer_of(const char *text, struct peer_key *out_key, char *out_text, bool *out_local)
{
    struct sockaddr_storage storage = { .ss_family = AF_UNIX };
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&storage, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&storage, &v6, sizeof v6);
    peer_describe(&storage, out_text, out_key, out_local);
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *address, *text, *same_as;
        bool local;
    } rows[] = {
        { "v4", "192.0.2.7", "192.0.2.7", "192.0.2.7", false },
        { "v4 mapped", "::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", false },
        { "v6 /64", "2001:db8::1", "2001:db8::1", "2001:db8::ffff:1", false },
        { "loopback v4", "127.3.2.1", "127.3.2.1", "127.0.0.1", true },
        { "loopback v6", "::1", "::1", "::1", true },
        { "unix", "", "unix", "", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct map peers;
        struct peer_key key, same;
        char text[INET6_ADDRSTRLEN];
        bool local;
        map_init(&peers);
        peer_of(rows[i].same_as, &same, text, &local);
        peer_of(rows[i].address, &key, text, &local);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(local, rows[i].local);
        assert_true(peer_enter(&peers, &key, 2));
        assert_true(peer_enter(&peers, &same, 2));
        if (peer_enter(&peers, &key, 2) != rows[i].local)
            fail_msg("%s: limit", rows[i].name);
        peer_leave(&peers, &same);
        assert_true(peer_enter(&peers, &same, 2));
        peer_leave(&peers, &key);
        peer_leave(&peers, &same);
        assert_int_equal(peers.count, 0);
        map_done(&peers);
    }
}

/* Without descriptors accepting pauses, burns no time, and goes on by itself. */
static void test_no_descriptors(void **state)
{
    (void)state;
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *before = echo_dial(server, DIAL_PLAIN);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fd; /* none above; those below are all taken */
    int fillers[64], filled = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (filled < 64 && (fillers[filled] = dup(2)) >= 0)
        filled++;
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)server->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    double start = cpu_ms();
    poll(NULL, 0, 350);
    double burnt = cpu_ms() - start;
    assert_ok(dial_send(before, SLICE("PING\r\n"))); /* the others live on */
    expect_line(before, "PONG ");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    char greeting[7];
    struct timeval hang = {
        .tv_sec = 20
    }; /* an accept that was forgotten comes with the next deadline, after 60 s */
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof hang), 0);
    assert_int_equal(recv(fd, greeting, 7, MSG_WAITALL), 7);
    if (burnt > 100)
        fail_msg("%.0f ms of processor time while paused", burnt);
    for (int i = 0; i < filled; i++)
        close(fillers[i]);
    close(fd);
    dial_close(before);
    echo_stop(server, 1000);
}

/* ---- listeners ---- */

static void test_unix_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/barid-net-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/lmtp", folder);
    /* A socket of a former run is replaced. */
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(stale, (const struct sockaddr *)&address, sizeof address), 0);
    close(stale);

    struct echo_server *server = calloc(1, sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    assert_ok(net_new(NULL, &server->net));
    struct net_listener_options listener = {
        .address = path, .ops = &echo_ops, .listener_arg = server
    };
    struct err_note note = { "" };
    int port = -1;
    if (net_listen(server->net, &listener, &port, &note) != ERR_OK)
        fail_msg("%s", note.text);
    assert_int_equal(port, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_ok(net_start(server->net));
    struct dial *dial = NULL;
    assert_ok(dial_open(path, 0, DIAL_PLAIN, NULL, 3000, &dial, &note));
    expect_line(dial, "HELLO");
    assert_string_equal(conn_peer(server->conns[0]), "unix");
    assert_true(conn_is_local(server->conns[0]));
    assert_ok(dial_send(dial, SLICE("PING u\r\n")));
    expect_line(dial, "PONG u");
    dial_close(dial);
    echo_stop(server, 1000);
    assert_int_equal(access(path, F_OK), -1);

    /* A file is not. */
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    struct net *net = NULL;
    assert_ok(net_new(NULL, &net));
    assert_err(ERR_EXISTS, net_listen(net, &listener, &port, &note));
    assert_non_null(strstr(note.text, "not a socket"));
    net_free(net);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    rmdir(folder);
}

static void test_bad_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *address;
        int port;
        enum err wanted;
    } rows[] = {
        { "name", "localhost", 0, ERR_SYNTAX },
        { "empty", "", 0, ERR_SYNTAX },
        { "port", "127.0.0.1", 65536, ERR_SYNTAX },
        { "negative port", "::1", -1, ERR_SYNTAX },
    };
    struct net *net = NULL;
    assert_ok(net_new(NULL, &net));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct net_listener_options listener = {
            .address = rows[i].address, .port = rows[i].port, .ops = &echo_ops
        };
        struct err_note note = { "" };
        int port;
        assert_err(rows[i].wanted, net_listen(net, &listener, &port, &note));
        assert_true(note.text[0] != '\0');
    }
    net_free(net);
}

/* ---- the stop ---- */

static void test_stop_under_load(void **state)
{
    (void)state;
    struct net_options options = { .threads = 8 };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct dial *idle = echo_dial(server, DIAL_PLAIN);
    struct dial *working = echo_dial(server, DIAL_PLAIN);
    struct dial *stuck = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(working, SLICE("WORK 200\r\n")));
    assert_ok(dial_send(stuck, SLICE("BIG 100000000\r\n")));
    struct client clients[6];
    for (int i = 0; i < 6; i++) {
        clients[i] = (struct client){ .server = server, .rounds = 1000000 };
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
    }
    poll(NULL, 0, 100);
    int64_t start_ms = clock_mono_ms();
    net_stop(server->net, 500);
    int64_t took_ms = clock_mono_ms() - start_ms;
    if (took_ms < 450 || took_ms > HANG_MS) /* the stuck one keeps it to the end, not longer */
        fail_msg("stop took %lld ms", (long long)took_ms);
    expect_line(idle, "SHUTDOWN");
    expect_end(idle);
    expect_line(working, "DONE");
    expect_line(working, "SHUTDOWN");
    assert_int_equal(atomic_load(&server->flush_canceled), 1);
    assert_int_equal(atomic_load(&server->woken_in_work), 1);
    for (int i = 0; i < 6; i++)
        pthread_join(clients[i].thread, NULL);
    dial_close(idle);
    dial_close(working);
    dial_close(stuck);
    echo_stop(server, 0);
}

/* ---- many parked ---- */

static int raise_descriptors(int wanted)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    int most = (int)(limit.rlim_cur / 2) - 50;
    return wanted < most ? wanted : most;
}

static void test_many_parked(void **state)
{
    (void)state;
    int count = raise_descriptors(2000);
    struct echo_server *server = echo_start(NULL, NET_TLS_NONE, NULL);
    struct dial *first = echo_dial(server, DIAL_PLAIN);
    int *fds = calloc((size_t)count, sizeof *fds);
    assert_non_null(fds);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)server->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    while (net_stats(server->net).parked < 1)
        poll(NULL, 0, 1);
    for (int i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&to, sizeof to), 0);
    }
    int64_t start_ms = clock_mono_ms();
    while (net_stats(server->net).parked < (size_t)count + 1) {
        assert_true(clock_mono_ms() - start_ms < HANG_MS);
        poll(NULL, 0, 2);
    }
    /* All are served still, and one new login is not slowed down. */
    assert_ok(dial_send(first, SLICE("PING\r\n")));
    expect_line(first, "PONG ");
    atomic_fetch_add(&server->published, 1);
    for (size_t i = 0; i < server->conn_count; i++)
        conn_wake(server->conns[i]);
    for (int i = 0; i < count; i++) {
        char text[16];
        assert_int_equal(recv(fds[i], text, 16, MSG_WAITALL), 16);
        assert_memory_equal(text, "HELLO\r\nWOKEN 1\r\n", 16);
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    dial_close(first);
    echo_stop(server, 3000);
}

/* ---- measuring: BARID_BENCH=1 build/release/test/net_test ---- */

static void measure(int linger_ms, unsigned threads, int clients)
{
    struct net_options options = { .threads = threads, .linger_ms = linger_ms };
    struct echo_server *server = echo_start(&options, NET_TLS_NONE, NULL);
    struct client *all = calloc((size_t)clients, sizeof *all);
    assert_non_null(all);
    int rounds = 40000 / clients;
    double cpu = cpu_ms();
    int64_t start_us = clock_mono_us();
    for (int i = 0; i < clients; i++) {
        all[i] = (struct client){ .server = server, .rounds = rounds };
        assert_int_equal(pthread_create(&all[i].thread, NULL, client_run, &all[i]), 0);
    }
    for (int i = 0; i < clients; i++)
        pthread_join(all[i].thread, NULL);
    double took_us = (double)(clock_mono_us() - start_us);
    double requests = (double)rounds * clients;
    printf(
        "# linger %2d ms, %2u threads, %2d clients: %6.0f requests/s, %5.1f us each for a client, "
        "%4.1f us of processor\n",
        linger_ms, threads, clients, requests / took_us * 1e6, took_us / rounds,
        (cpu_ms() - cpu) * 1000 / requests);
    free(all);
    echo_stop(server, 1000);
}

static void test_measure(void **state)
{
    (void)state;
    if (!getenv("BARID_BENCH"))
        return;
    static const int lingers_ms[] = { 0, 1 };
    static const unsigned threads[] = { 8, 64 };
    static const int clients[] = { 1, 16 };
    for (int i = 0; i < 8; i++)
        measure(lingers_ms[i & 1], threads[i >> 1 & 1], clients[i >> 2 & 1]);
}

TEST_MAIN(cmocka_unit_test(test_ping), cmocka_unit_test(test_bytewise),
    cmocka_unit_test(test_many_clients), cmocka_unit_test(test_wake_storm),
    cmocka_unit_test(test_end_and_late_wake), cmocka_unit_test(test_deadlines),
    cmocka_unit_test(test_pause), cmocka_unit_test(test_pause_and_wake),
    cmocka_unit_test(test_pauses_hold_no_thread), cmocka_unit_test(test_pause_of_a_broken_peer),
    cmocka_unit_test(test_big_and_slow), cmocka_unit_test(test_slow_crowd),
    cmocka_unit_test(test_last_answer), cmocka_unit_test(test_drain_ends),
    cmocka_unit_test(test_total_limit), cmocka_unit_test(test_peers),
    cmocka_unit_test(test_no_descriptors), cmocka_unit_test(test_unix_socket),
    cmocka_unit_test(test_bad_addresses), cmocka_unit_test(test_stop_under_load),
    cmocka_unit_test(test_many_parked), cmocka_unit_test(test_measure))
