/* TLS: certificates and keys on disk, STARTTLS and what is injected into it, resumption, ALPN, channel bindings, memory. */
#include "net/net_echo_test.h"
#include "net/tls_int.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[64], cert_file[96], key_file[96];

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = { "localhost", "mail.barid.test", "127.0.0.1", "::1", NULL };
    struct err_note note = { "" };
    snprintf(folder, sizeof folder, "/tmp/barid-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    if (tls_make_self_signed(names, 10, cert_file, key_file, &note) != ERR_OK)
        fail_msg("%s", note.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    rmdir(folder);
    return 0;
}

static struct tls_server *load(void)
{
    struct tls_server *tls = NULL;
    struct err_note note = { "" };
    if (tls_server_load(cert_file, key_file, &tls, &note) != ERR_OK)
        fail_msg("%s", note.text);
    return tls;
}

static struct echo_server *start_tls(enum net_tls mode, const struct net_options *options)
{
    struct tls_server *tls = load();
    struct echo_server *server = echo_start(options, mode, tls);
    tls_server_unref(tls);
    return server;
}

/* ---- files ---- */

static void test_self_signed(void **state)
{
    (void)state;
    struct stat st;
    struct err_note note = { "" };
    static const char *const good[] = { "a.test", NULL };
    static const char *const bad[] = { "a.test,DNS:evil.test", NULL };
    static const char *const none[] = { NULL };
    assert_int_equal(stat(key_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(cert_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_err(ERR_EXISTS, tls_make_self_signed(good, 1, cert_file, key_file, &note));
    assert_err(ERR_SYNTAX, tls_make_self_signed(bad, 1, "/nowhere/c", "/nowhere/k", &note));
    assert_err(ERR_SYNTAX, tls_make_self_signed(none, 1, "/nowhere/c", "/nowhere/k", &note));
    assert_err(ERR_LIMIT, tls_make_self_signed(good, 0, "/nowhere/c", "/nowhere/k", &note));
    assert_err(ERR_NOT_FOUND, tls_make_self_signed(good, 1, "/nowhere/c", "/nowhere/k", &note));
    /* The certificate cannot be written: the key does not stay behind alone. */
    char key[96];
    snprintf(key, sizeof key, "%s/other.pem", folder);
    assert_err(ERR_EXISTS, tls_make_self_signed(good, 1, cert_file, key, &note));
    assert_int_equal(access(key, F_OK), -1);
}

static void test_key_modes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mode_t mode;
        enum err wanted;
    } rows[] = {
        { "owner", 0600, ERR_OK },
        { "owner reads", 0400, ERR_OK },
        { "group reads", 0640, ERR_OK },
        { "group writes", 0620, ERR_DENIED },
        { "others read", 0604, ERR_DENIED },
        { "others write", 0602, ERR_DENIED },
        { "all", 0666, ERR_DENIED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_server *tls = NULL;
        struct err_note note = { "" };
        assert_int_equal(chmod(key_file, rows[i].mode), 0);
        enum err got = tls_server_load(cert_file, key_file, &tls, &note);
        if (got != rows[i].wanted)
            fail_msg("%s: %s %s", rows[i].name, err_name(got), note.text);
        tls_server_unref(tls);
    }
    assert_int_equal(chmod(key_file, 0600), 0);
    struct tls_server *tls = NULL;
    struct err_note note = { "" };
    assert_err(ERR_NOT_FOUND, tls_server_load("/nowhere", key_file, &tls, &note));
    assert_err(ERR_SYNTAX, tls_server_load(key_file, key_file, &tls, &note));
    assert_err(ERR_SYNTAX, tls_server_load(cert_file, folder, &tls, &note));
    assert_null(tls);
}

/* ---- verification by dial ---- */

static void test_dial_verifies(void **state)
{
    (void)state;
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    static const struct {
        const char *name, *host;
        bool trust;
        enum err wanted;
    } rows[] = {
        { "address in the certificate", "127.0.0.1", true, ERR_OK },
        { "name in the certificate", "localhost", true, ERR_OK },
        { "address not in it", "127.0.0.2", true, ERR_DENIED },
        { "not trusted", "127.0.0.1", false, ERR_DENIED },
    };
    /* One listener on every loopback address, so that the certificate alone decides. */
    struct net_listener_options everywhere = {
        .address = "0.0.0.0", .tls = NET_TLS_IMPLICIT, .ops = &echo_ops, .listener_arg = server
    };
    int port = 0;
    assert_ok(net_listen(server->net, &everywhere, &port, NULL)); /* also while it runs */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dial *dial = NULL;
        struct err_note note = { "" };
        enum err got = dial_open(
            rows[i].host, port, DIAL_TLS, rows[i].trust ? cert_file : NULL, 3000, &dial, &note);
        if (got != rows[i].wanted)
            fail_msg("%s: %s %s", rows[i].name, err_name(got), note.text);
        if (dial)
            expect_line(dial, "HELLO");
        dial_close(dial);
    }
    echo_stop(server, 1000);
}

/* ---- STARTTLS ---- */

static void test_starttls(void **state)
{
    (void)state;
    struct echo_server *server = start_tls(NET_TLS_STARTTLS, NULL);
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    struct err_note note = { "" };
    assert_ok(dial_send(dial, SLICE("TLS\r\n")));
    expect_line(dial, "TLS ");
    assert_ok(dial_send(dial, SLICE("STARTTLS\r\n")));
    expect_line(dial, "OK");
    if (dial_starttls(dial, DIAL_TLS_UNVERIFIED, &note) != ERR_OK)
        fail_msg("%s", note.text);
    assert_ok(dial_send(dial, SLICE("TLS\r\n")));
    struct slice line;
    assert_ok(dial_line(dial, &line));
    assert_true(slice_starts(line, SLICE("TLS TLSv1.3 TLS_")));
    /* A second one is refused, and the connection ends. */
    assert_ok(dial_send(dial, SLICE("STARTTLS\r\n")));
    expect_end(dial);
    dial_close(dial);
    echo_stop(server, 1000);
}

static void test_starttls_injection(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } rows[] = {
        { "a command in the packet", "STARTTLS\r\nPING injected\r\n" },
        { "one byte in the packet", "STARTTLS\r\nP" },
        { "a hello in the packet", "STARTTLS\r\n\x16\x03\x01" },
    };
    struct echo_server *server = start_tls(NET_TLS_STARTTLS, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dial *dial = echo_dial(server, DIAL_PLAIN);
        assert_ok(dial_send(dial, slice_of(rows[i].text)));
        expect_end(dial); /* not even the go-ahead */
        dial_close(dial);
    }
    /* After the go-ahead, before the hello: the handshake fails on it. */
    struct dial *dial = echo_dial(server, DIAL_PLAIN);
    assert_ok(dial_send(dial, SLICE("STARTTLS\r\n")));
    expect_line(dial, "OK");
    assert_ok(dial_send(dial, SLICE("PING injected\r\n")));
    struct slice line;
    enum err e = dial_line(dial, &line); /* an alert, perhaps, but no PONG */
    assert_true(e != ERR_OK);
    dial_close(dial);
    assert_int_equal(net_stats(server->net).tls_failed, 1);
    echo_stop(server, 1000);
}

static void test_slow_handshake(void **state)
{
    (void)state;
    struct net_options options = { .handshake_ms = 200 };
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, &options);
    struct dial *dial = NULL;
    assert_ok(dial_open("127.0.0.1", server->port, DIAL_PLAIN, NULL, 3000, &dial, NULL));
    /* A byte now and then does not buy time. */
    static const char hello[] = "\x16\x03\x01\x01\x00\x01\x00\x00";
    int64_t start_ms = clock_mono_ms();
    for (size_t i = 0; i < sizeof hello - 1 && net_stats(server->net).tls_failed == 0; i++) {
        (void)!dial_send(dial, slice_from(hello + i, 1));
        poll(NULL, 0, 50);
    }
    while (net_stats(server->net).tls_failed == 0)
        assert_true(poll(NULL, 0, 1) == 0 && clock_mono_ms() - start_ms < HANG_MS);
    assert_true(clock_mono_ms() - start_ms >= 190);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* ---- a client of OpenSSL's own ---- */

struct hand {
    int fd;
    SSL *ssl;
};

static int connect_plain(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Blocking handshake; false when it is refused. */
static bool hand_open(struct hand *hand, SSL_CTX *context, int port, SSL_SESSION *session)
{
    ERR_clear_error();
    hand->fd = connect_plain(port);
    hand->ssl = SSL_new(context);
    if (hand->fd < 0 || !hand->ssl)
        return false;
    SSL_set_fd(hand->ssl, hand->fd);
    if (session)
        SSL_set_session(hand->ssl, session);
    return SSL_connect(hand->ssl) == 1;
}

static void hand_close(struct hand *hand)
{
    SSL_free(hand->ssl);
    close(hand->fd);
    ERR_clear_error();
}

/* Reads a line and its end; so that tickets are taken in as well. */
static void hand_line(struct hand *hand, char *to, size_t len)
{
    size_t at = 0;
    while (at < len - 1 && SSL_read(hand->ssl, to + at, 1) == 1)
        if (to[at++] == '\n')
            break;
    to[at] = '\0';
}

static void check_resumption(int version)
{
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    struct hand hand;
    char text[64];
    assert_true(hand_open(&hand, context, server->port, NULL));
    hand_line(&hand, text, sizeof text);
    assert_string_equal(text, "HELLO\r\n");
    assert_int_equal(SSL_version(hand.ssl), version);
    assert_false(SSL_session_reused(hand.ssl));
    SSL_SESSION *session = SSL_get1_session(hand.ssl);
    SSL_shutdown(hand.ssl);
    hand_close(&hand);
    /* A reload in between: the ticket still counts. */
    struct tls_server *again = load();
    net_set_tls(server->net, again);
    tls_server_unref(again);
    for (int i = 0; i < 3;
         i++) { /* each brings what the next needs: a ticket is good for one (RFC 8446 C.4) */
        assert_true(hand_open(&hand, context, server->port, session));
        hand_line(&hand, text, sizeof text);
        assert_string_equal(text, "HELLO\r\n");
        assert_true(SSL_session_reused(hand.ssl));
        SSL_SESSION *next = SSL_get1_session(hand.ssl);
        if (version == TLS1_3_VERSION) {
            assert_true(next != session);
            assert_true(SSL_SESSION_is_resumable(next));
        }
        SSL_SESSION_free(session);
        session = next;
        SSL_shutdown(hand.ssl);
        hand_close(&hand);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    echo_stop(server, 1000);
}

static void test_resumption(void **state)
{
    (void)state;
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

static void test_alpn_and_versions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *offers; /* wire form */
        int version;        /* most; 0: any */
        bool wanted;
        const char *chosen;
    } rows[] = {
        { "none", "", 0, true, "" },
        { "own", "\004imap", 0, true, "imap" },
        { "own among others", "\002h2\004imap", 0, true, "imap" },
        { "web", "\002h2\010http/1.1", 0, false, "" },
        { "other mail", "\004pop3", 0, false, "" },
        { "unknown", "\003foo", 0, false, "" },
        { "TLS 1.2", "", TLS1_2_VERSION, true, "" },
        { "TLS 1.1", "", TLS1_1_VERSION, false, "" },
    };
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        size_t len = strlen(rows[i].offers);
        if (len)
            SSL_CTX_set_alpn_protos(context, (const unsigned char *)rows[i].offers, (unsigned)len);
        if (rows[i].version) {
            SSL_CTX_set_min_proto_version(context, 0);
            SSL_CTX_set_security_level(context, 0); /* the client would offer it; we refuse */
            SSL_CTX_set_max_proto_version(context, rows[i].version);
        }
        struct hand hand;
        bool got = hand_open(&hand, context, server->port, NULL);
        if (got) {
            char text[16];
            hand_line(&hand, text,
                sizeof text); /* TLS 1.3: a refusal may come after the client is done */
            got = strcmp(text, "HELLO\r\n") == 0;
        }
        if (got != rows[i].wanted)
            fail_msg("%s: got %d", rows[i].name, got);
        const unsigned char *chosen = NULL;
        unsigned chosen_len = 0;
        SSL_get0_alpn_selected(hand.ssl, &chosen, &chosen_len);
        if (got)
            assert_slice(rows[i].name, slice_from(chosen, chosen_len), slice_of(rows[i].chosen));
        hand_close(&hand);
        SSL_CTX_free(context);
    }
    echo_stop(server, 1000);
}

static void ask_binding(struct hand *hand, const char *kind, char *to, size_t len)
{
    char command[64];
    int size = snprintf(command, sizeof command, "BIND %s\r\n", kind);
    assert_int_equal(SSL_write(hand->ssl, command, size), size);
    hand_line(hand, to, len);
}

static void wanted_binding(const unsigned char *bytes, size_t len, char *to, size_t to_len)
{
    struct buf text;
    buf_init(&text, 0);
    hex_encode(&text, slice_from(bytes, len));
    snprintf(to, to_len, "BIND ok %.*s\r\n", SLICE_FMT(buf_slice(&text)));
    buf_done(&text);
}

static void test_bindings(void **state)
{
    (void)state;
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(context, version);
        struct hand hand;
        char text[256], wanted[256];
        unsigned char value[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        assert_true(hand_open(&hand, context, server->port, NULL));
        hand_line(&hand, text, sizeof text);

        ask_binding(&hand, "tls-server-end-point", text, sizeof text);
        X509 *certificate = SSL_get1_peer_certificate(hand.ssl);
        assert_int_equal(X509_digest(certificate, EVP_sha256(), value, &len), 1);
        X509_free(certificate);
        wanted_binding(value, len, wanted, sizeof wanted);
        assert_string_equal(text, wanted);

        ask_binding(&hand, "tls-exporter", text, sizeof text);
        if (version == TLS1_3_VERSION) {
            assert_int_equal(SSL_export_keying_material(
                                 hand.ssl, value, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 0),
                1);
            wanted_binding(value, 32, wanted, sizeof wanted);
            assert_string_equal(text, wanted);
        } else {
            assert_string_equal(text, "BIND not-found \r\n");
        }
        ask_binding(&hand, "tls-unique", text, sizeof text);
        assert_string_equal(text, "BIND not-found \r\n");
        hand_close(&hand);
        SSL_CTX_free(context);
    }
    echo_stop(server, 1000);
}

/* ---- bytes through TLS ---- */

static void test_tls_bytes(void **state)
{
    (void)state;
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    struct dial *dial = echo_dial(server, DIAL_TLS_UNVERIFIED);
    struct buf many;
    buf_init(&many, 0);
    for (int i = 0; i < 3000;
         i++) /* several records; the rest waits inside OpenSSL, where epoll sees nothing */
        buf_addf(&many, "PING %d\r\n", i);
    assert_ok(dial_send(dial, buf_slice(&many)));
    for (int i = 0; i < 3000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "PONG %d", i);
        expect_line(dial, wanted);
    }
    static const char bytewise[] = "PING slow\r\n";
    for (size_t i = 0; i < sizeof bytewise - 1; i++) {
        assert_ok(dial_send(dial, slice_from(bytewise + i, 1)));
        poll(NULL, 0, 2);
    }
    expect_line(dial, "PONG slow");
    buf_clear(&many);
    assert_ok(dial_send(dial, SLICE("BIG 5000000\r\nQUIT\r\n")));
    poll(NULL, 0, 50);
    assert_ok(dial_bytes(dial, 5000002, &many));
    expect_line(dial, "BYE");
    expect_end(dial);
    buf_done(&many);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* What is pipelined behind a pause waits, also inside OpenSSL, and comes in order. */
static void test_tls_pause(void **state)
{
    (void)state;
    struct echo_server *server = start_tls(NET_TLS_IMPLICIT, NULL);
    struct dial *dial = echo_dial(server, DIAL_TLS_UNVERIFIED);
    struct buf many;
    buf_init(&many, 0);
    buf_adds(&many, "PAUSE 150\r\n");
    for (int i = 0; i < 3000; i++)
        buf_addf(&many, "PING %d\r\n", i);
    int64_t start_ms = clock_mono_ms();
    assert_ok(dial_send(dial, buf_slice(&many)));
    expect_line(dial, "RESUMED");
    assert_true(clock_mono_ms() - start_ms >= 140);
    for (int i = 0; i < 3000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "PONG %d", i);
        expect_line(dial, wanted);
    }
    buf_done(&many);
    dial_close(dial);
    echo_stop(server, 1000);
}

/* ---- memory ---- */

static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own, so that only the server's half is measured. */
static void hold_connections(int port, bool tls, int count)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < count; i++) {
        struct hand hand = { .ssl = NULL };
        char text[16];
        if (tls) {
            if (!hand_open(&hand, context, port, NULL))
                _exit(1);
            hand_line(&hand, text, sizeof text);
        } else {
            hand.fd = connect_plain(port);
            if (hand.fd < 0 || recv(hand.fd, text, 7, MSG_WAITALL) != 7)
                _exit(1);
        }
    }
    for (;;)
        pause();
}

static void measure_parked(bool tls, int count, size_t goal)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if ((rlim_t)count + 100 > limit.rlim_cur)
        count = (int)limit.rlim_cur - 100;
    struct echo_server *server = calloc(1, sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    assert_ok(net_new(NULL, &server->net));
    struct tls_server *certificate = load();
    net_set_tls(server->net, certificate);
    tls_server_unref(certificate);
    struct net_listener_options listener = {
        .address = "127.0.0.1",
        .tls = tls ? NET_TLS_IMPLICIT : NET_TLS_NONE,
        .ops = &echo_ops,
        .listener_arg = server,
    };
    assert_ok(net_listen(server->net, &listener, &server->port, NULL));
    pid_t child = fork(); /* before the threads */
    assert_true(child >= 0);
    if (child == 0)
        hold_connections(server->port, tls, count);
    assert_ok(net_start(server->net));
    /* The first ones also pay for stacks and for OpenSSL's tables. */
    size_t warm = 0, before = 0;
    int64_t start_ms = clock_mono_ms();
    while (net_stats(server->net).parked < (size_t)count) {
        if (waitpid(child, NULL, WNOHANG) != 0 || clock_mono_ms() - start_ms > 20000)
            fail_msg("the clients stopped at %zu", net_stats(server->net).parked);
        if (!before && net_stats(server->net).parked >= (size_t)count / 5) {
            before = resident_bytes();
            warm = net_stats(server->net).parked;
        }
        poll(NULL, 0, 1);
    }
    size_t each = (resident_bytes() - before) / ((size_t)count - warm);
    printf("# %d parked %s connections: %zu bytes resident each, session included\n", count,
        tls ? "TLS" : "plain", each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(each <= goal);
#else
    (void)goal;
#endif
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    echo_stop(server, 3000);
}

static void test_memory(void **state)
{
    (void)state;
    measure_parked(false, 2000, 6 * 1024);
    measure_parked(true, 600, 24 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_memory), /* first: memory that other tests freed would be used again */
        cmocka_unit_test(test_self_signed),
        cmocka_unit_test(test_key_modes),
        cmocka_unit_test(test_dial_verifies),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_starttls_injection),
        cmocka_unit_test(test_slow_handshake),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_alpn_and_versions),
        cmocka_unit_test(test_bindings),
        cmocka_unit_test(test_tls_bytes),
        cmocka_unit_test(test_tls_pause),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
