/* limits: what this machine can do at best, for the work that mail servers do.
 * usage: limits [DIR] [NAME-PREFIX]     one line of JSON per figure; DIR on the file system under test
 * Each figure runs about half a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECS 0.5
static const char *dir, *only;
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static int want(const char *name)
{
    return !only || !strncmp(name, only, strlen(only));
}
static void out(const char *name, double v, const char *unit)
{
    printf("{\"limit\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n", name, v, unit);
    fflush(stdout);
}
static void die(const char *what)
{
    perror(what);
    exit(1);
}
static char buf[1 << 22];
static char path[512];
static const char *file(const char *n)
{
    snprintf(path, sizeof path, "%s/%s", dir, n);
    return path;
}

/* ----------------------------------------------------------------- disk */
static void disk(void)
{
    double t, e;
    long n;
    int fd;
    if (want("fdatasync_append_4k")) {
        fd = open(file("l.dat"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        for (n = 0, t = now(); (e = now() - t) < SECS; n++)
            if (write(fd, buf, 4096) != 4096 || fdatasync(fd))
                die("fdatasync");
        out("fdatasync_append_4k", (double)n / e, "ops/s");
        close(fd);
    }
    if (want("fdatasync_append_16k")) {
        fd = open(file("l.dat"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        for (n = 0, t = now(); (e = now() - t) < SECS; n++)
            if (write(fd, buf, 16384) != 16384 || fdatasync(fd))
                die("fdatasync");
        out("fdatasync_append_16k", (double)n / e, "ops/s");
        close(fd);
    }
    if (want("fdatasync_overwrite_4k")) { /* space written before: no metadata to journal */
        fd = open(file("l.dat"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        for (int i = 0; i < 16; i++)
            if (write(fd, buf, sizeof buf) != (ssize_t)sizeof buf)
                die("write");
        fsync(fd);
        for (n = 0, t = now(); (e = now() - t) < SECS; n++)
            if (pwrite(fd, buf, 4096, (n % 16384) * 4096) != 4096 || fdatasync(fd))
                die("fdatasync");
        out("fdatasync_overwrite_4k", (double)n / e, "ops/s");
        close(fd);
    }
    if (want("dsync_direct_overwrite_4k")) {
        fd = open(file("l.dat"), O_CREAT | O_WRONLY, 0600);
        for (int i = 0; i < 16; i++)
            if (write(fd, buf, sizeof buf) != (ssize_t)sizeof buf)
                die("write");
        fsync(fd);
        close(fd);
        fd = open(file("l.dat"), O_WRONLY | O_DSYNC | O_DIRECT);
        void *ab = NULL;
        if (fd >= 0 && !posix_memalign(&ab, 4096, 4096)) {
            memset(ab, 1, 4096);
            for (n = 0, t = now(); (e = now() - t) < SECS; n++)
                if (pwrite(fd, ab, 4096, (n % 16384) * 4096) != 4096)
                    die("pwrite");
            out("dsync_direct_overwrite_4k", (double)n / e, "ops/s");
            free(ab);
            close(fd);
        }
    }
    unlink(file("l.dat"));
}

static void disk_files(void)
{
    double t, e;
    long n;
    int fd;
    if (want("file_per_message")) { /* a new 16 KB file, synced, renamed, the directory synced */
        mkdir(file("l.tmp"), 0700);
        mkdir(file("l.new"), 0700);
        int dn = open(file("l.new"), O_RDONLY | O_DIRECTORY);
        for (n = 0, t = now(); (e = now() - t) < SECS; n++) {
            char a[600], b[600];
            snprintf(a, sizeof a, "%s/l.tmp/%ld", dir, n);
            snprintf(b, sizeof b, "%s/l.new/%ld", dir, n);
            fd = open(a, O_CREAT | O_EXCL | O_WRONLY, 0600);
            if (fd < 0 || write(fd, buf, 16384) != 16384 || fdatasync(fd))
                die("file");
            close(fd);
            if (rename(a, b) || fsync(dn))
                die("rename");
        }
        out("file_per_message", (double)n / e, "ops/s");
        close(dn);
        for (long i = 0; i < n; i++) {
            char b[600];
            snprintf(b, sizeof b, "%s/l.new/%ld", dir, i);
            unlink(b);
        }
        rmdir(file("l.new"));
        rmdir(file("l.tmp"));
    }
}

static void disk_sequential(void)
{
    double t, e;
    long n;
    int fd;
    if (want("seq_write_4m_fdatasync")) {
        fd = open(file("l.dat"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
        for (n = 0, t = now(); (e = now() - t) < 2 * SECS && n < 400; n++)
            if (write(fd, buf, sizeof buf) != (ssize_t)sizeof buf || fdatasync(fd))
                die("write");
        out("seq_write_4m_fdatasync", (double)n * sizeof buf / e / 1e6, "MB/s");
        close(fd);
    }
    unlink(file("l.dat"));
}

/* K threads, each with its own file */
static atomic_long pcount;
static atomic_int pstop;
static void *pworker(void *arg)
{
    char p[600];
    snprintf(p, sizeof p, "%s/l.p%ld", dir, (long)(intptr_t)arg);
    int fd = open(p, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    while (!atomic_load(&pstop)) {
        if (write(fd, buf, 4096) != 4096 || fdatasync(fd))
            die("fdatasync");
        atomic_fetch_add(&pcount, 1);
    }
    close(fd);
    unlink(p);
    return NULL;
}
static void parallel(void)
{
    static const int ks[] = { 2, 4, 8, 16, 64 };
    for (unsigned q = 0; q < sizeof ks / sizeof *ks; q++) {
        char name[64];
        pthread_t th[64];
        snprintf(name, sizeof name, "fdatasync_parallel_%d_files", ks[q]);
        if (!want(name))
            continue;
        atomic_store(&pstop, 0);
        atomic_store(&pcount, 0);
        double t = now();
        for (int i = 0; i < ks[q]; i++)
            pthread_create(&th[i], NULL, pworker, (void *)(intptr_t)i);
        usleep((useconds_t)(SECS * 1e6));
        long n = atomic_load(&pcount);
        double e = now() - t;
        atomic_store(&pstop, 1);
        for (int i = 0; i < ks[q]; i++)
            pthread_join(th[i], NULL);
        out(name, (double)n / e, "ops/s");
    }
}

/* group commit: one log; batches of B records of R bytes, one fdatasync each.
 * This is what a server can do when B deliveries are under way at a time. */
static void group(void)
{
    static const int bs[] = { 1, 4, 16, 64, 256 };
    static const int rs[] = { 4096, 20000, 50000 };
    for (int pre = 0; pre < 2; pre++)
        for (unsigned r = 0; r < 3; r++)
            for (unsigned q = 0; q < 5; q++) {
                char name[80];
                snprintf(name, sizeof name, "group_commit_%s_%dB_batch%d",
                    pre ? "prealloc" : "extend", rs[r], bs[q]);
                if (!want(name))
                    continue;
                int fd = open(file("l.log"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
                long n = 0;
                off_t off = 0, size = 512 << 20;
                if (pre) { /* a recycled log segment: its blocks are written already */
                    for (off_t o = 0; o < size; o += (off_t)sizeof buf)
                        if (pwrite(fd, buf, sizeof buf, o) < 0)
                            die("pwrite");
                    fsync(fd);
                }
                double t = now(), e;
                while ((e = now() - t) < SECS) {
                    for (int i = 0; i < bs[q]; i++) {
                        if (pwrite(fd, buf, (size_t)rs[r], off) < 0)
                            die("pwrite");
                        off += rs[r];
                        if (pre && off + rs[r] > size)
                            off = 0;
                    }
                    if (fdatasync(fd))
                        die("fdatasync");
                    n += bs[q];
                }
                out(name, (double)n / e, "ops/s");
                close(fd);
                unlink(file("l.log"));
            }
}

/* -------------------------------------------------------------- loopback */
static int listener(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t l = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 4096) ||
        getsockname(s, (struct sockaddr *)&a, &l))
        die("listen");
    *port = ntohs(a.sin_port);
    return s;
}
static int dial(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    if (connect(s, (struct sockaddr *)&a, sizeof a))
        die("connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return s;
}
static void loopback_bulk(void)
{
    int port, ls = listener(&port);
    /* bulk: the child sends, by write or by sendfile */
    static const char *names[] = { "loopback_write_64k", "loopback_write_1m",
        "loopback_sendfile_20k", "loopback_sendfile_1m" };
    int fd = open(file("l.sf"), O_CREAT | O_TRUNC | O_RDWR, 0600);
    if (write(fd, buf, sizeof buf) < 0)
        die("write");
    for (int k = 0; k < 4; k++) {
        if (!want(names[k]))
            continue;
        pid_t p = fork();
        if (!p) {
            int s = dial(port);
            size_t sz = k == 0 ? 65536 : k == 2 ? 20000 : 1 << 20;
            for (;;) {
                if (k < 2) {
                    if (send(s, buf, sz, MSG_NOSIGNAL) <= 0)
                        _exit(0);
                } else {
                    off_t o = 0;
                    if (sendfile(s, fd, &o, sz) <= 0)
                        _exit(0);
                }
            }
        }
        int c = accept(ls, NULL, NULL);
        double t = now(), e, got = 0;
        static char rb[1 << 18];
        while ((e = now() - t) < SECS) {
            ssize_t r = read(c, rb, sizeof rb);
            if (r <= 0)
                break;
            got += (double)r;
        }
        close(c);
        kill(p, SIGKILL);
        waitpid(p, NULL, 0);
        out(names[k], got / e / 1e9, "GB/s");
    }
    close(fd);
    unlink(file("l.sf"));
    close(ls);
}

static void loopback_roundtrips(void)
{
    int port, one = 1, ls = listener(&port);
    /* request and response, D of them in flight on C connections, one epoll loop on either side */
    static const int cs[] = { 1, 16, 256 };
    for (int k = 0; k < 3; k++) {
        char name[64];
        snprintf(name, sizeof name, "loopback_roundtrips_%d_conns", cs[k]);
        if (!want(name))
            continue;
        pid_t p = fork();
        if (!p) { /* echo server */
            int ep = epoll_create1(0);
            struct epoll_event ev[256];
            for (int i = 0; i < cs[k]; i++) {
                int c = accept(ls, NULL, NULL);
                setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                struct epoll_event e = { .events = EPOLLIN, .data.fd = c };
                epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
            }
            for (;;) {
                int n = epoll_wait(ep, ev, 256, -1);
                for (int i = 0; i < n; i++) {
                    char b[256];
                    ssize_t r = read(ev[i].data.fd, b, sizeof b);
                    if (r <= 0)
                        _exit(0);
                    if (write(ev[i].data.fd, b, (size_t)r) < 0)
                        _exit(0);
                }
            }
        }
        int ep = epoll_create1(0);
        struct epoll_event ev[256];
        int *fds = calloc((size_t)cs[k], sizeof(int));
        for (int i = 0; i < cs[k]; i++) {
            fds[i] = dial(port);
            struct epoll_event e = { .events = EPOLLIN, .data.fd = fds[i] };
            epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e);
        }
        for (int i = 0; i < cs[k]; i++)
            if (write(fds[i], buf, 40) < 0)
                die("write");
        long n = 0;
        double t = now(), e;
        while ((e = now() - t) < SECS) {
            int m = epoll_wait(ep, ev, 256, 100);
            for (int i = 0; i < m; i++) {
                char b[256];
                if (read(ev[i].data.fd, b, sizeof b) <= 0 || write(ev[i].data.fd, b, 40) < 0)
                    die("ping");
                n++;
            }
        }
        kill(p, SIGKILL);
        waitpid(p, NULL, 0);
        for (int i = 0; i < cs[k]; i++)
            close(fds[i]);
        free(fds);
        close(ep);
        out(name, (double)n / e, "ops/s");
    }
    close(ls);
}

static void loopback_connects(void)
{
    int port, ls = listener(&port);
    if (want("loopback_connect_close")) {
        pid_t p = fork();
        if (!p)
            for (;;) {
                int c = accept(ls, NULL, NULL);
                if (c >= 0) {
                    char b[8];
                    ssize_t r = read(c, b, sizeof b);
                    (void)r; /* the end of the connection is all it waits for */
                    close(c);
                }
            }
        long n = 0;
        double t = now(), e;
        while ((e = now() - t) < SECS) {
            close(dial(port));
            n++;
        }
        kill(p, SIGKILL);
        waitpid(p, NULL, 0);
        out("loopback_connect_close", (double)n / e, "ops/s");
    }
    close(ls);
}

/* ------------------------------------------------------------------- TLS */
static SSL_CTX *make_ctx(int server, EVP_PKEY *key, X509 *crt, const char *suite)
{
    SSL_CTX *x = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_min_proto_version(x, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(x, suite);
    if (server) {
        SSL_CTX_use_certificate(x, crt);
        SSL_CTX_use_PrivateKey(x, key);
    }
    return x;
}
static X509 *self_signed(EVP_PKEY *k)
{
    X509 *c = X509_new();
    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), 0);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400);
    X509_set_pubkey(c, k);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
        (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(c));
    X509_sign(c, k, EVP_sha256());
    return c;
}
/* one handshake through memory; the time spent in the server's calls is added to *ts */
static SSL_SESSION *saved;
static int on_session(SSL *s, SSL_SESSION *x)
{
    (void)s;
    if (saved)
        SSL_SESSION_free(saved);
    saved = x;
    return 1;
}
static int handshake(SSL_CTX *cs, SSL_CTX *cc, double *ts, int resume)
{
    BIO *a, *b;
    SSL *s = SSL_new(cs), *c = SSL_new(cc);
    BIO_new_bio_pair(&a, 65536, &b, 65536);
    SSL_set_bio(s, a, a);
    SSL_set_bio(c, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    if (resume && saved)
        SSL_set_session(c, saved);
    char t[8];
    int done = 0;
    for (int i = 0; i < 20 && !done; i++) {
        int rc = SSL_do_handshake(c);
        double t0 = now();
        int rs = SSL_do_handshake(s);
        *ts += now() - t0;
        done = rc == 1 && rs == 1;
    }
    SSL_read(c, t, sizeof t); /* takes the tickets */
    int r = SSL_session_reused(s);
    double t0 = now();
    SSL_set_quiet_shutdown(s, 1);
    SSL_shutdown(s);
    SSL_free(s);
    *ts += now() - t0;
    SSL_set_quiet_shutdown(c, 1);
    SSL_shutdown(c);
    SSL_free(c);
    return done ? 1 + r : 0;
}
static void tls_ciphers(void)
{
    static const struct {
        const char *n;
        const char *cipher;
    } aead[] = { { "aes_128_gcm_16k", "AES-128-GCM" }, { "aes_256_gcm_16k", "AES-256-GCM" },
        { "chacha20_poly1305_16k", "ChaCha20-Poly1305" } };
    for (int k = 0; k < 3; k++) {
        if (!want(aead[k].n))
            continue;
        EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
        const EVP_CIPHER *c = EVP_get_cipherbyname(aead[k].cipher);
        unsigned char key[32] = { 1 }, iv[12] = { 2 }, tag[16];
        static unsigned char o[32768];
        int l;
        EVP_EncryptInit_ex(x, c, NULL, key, iv);
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS) {
            for (int i = 0; i < 64; i++, n++) {
                EVP_EncryptInit_ex(x, NULL, NULL, NULL, iv);
                EVP_EncryptUpdate(x, o, &l, (unsigned char *)buf, 16384);
                EVP_EncryptFinal_ex(x, o + l, &l);
                EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, 16, tag);
            }
        }
        out(aead[k].n, (double)n * 16384 / e / 1e9, "GB/s");
        EVP_CIPHER_CTX_free(x);
    }
}

static void tls_handshakes(void)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = NULL;
    X509 *ecc = self_signed(ec), *rsac = NULL;
    for (int k = 0; k < 2; k++) {
        char name[64];
        snprintf(name, sizeof name, "tls13_handshake_%s", k ? "rsa2048" : "p256");
        if (!want(name))
            continue;
        if (k) {
            rsa = EVP_RSA_gen(2048);
            rsac = self_signed(rsa);
        }
        SSL_CTX *cs = make_ctx(1, k ? rsa : ec, k ? rsac : ecc, "TLS_AES_128_GCM_SHA256"),
                *cc = make_ctx(0, NULL, NULL, "TLS_AES_128_GCM_SHA256");
        for (int resume = 0; resume < 2; resume++) {
            SSL_CTX_set_session_cache_mode(cc, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
            SSL_CTX_sess_set_new_cb(cc, on_session);
            double ts = 0, t, e;
            long n = 0, reused = 0;
            handshake(cs, cc, &ts, 0);
            ts = 0;
            for (t = now(); (e = now() - t) < SECS; n++) {
                int r = handshake(cs, cc, &ts, resume);
                if (!r) {
                    fprintf(stderr, "handshake failed\n");
                    return;
                }
                reused += r == 2;
            }
            char nm[96];
            snprintf(nm, sizeof nm, "%s%s_server", name, resume ? "_resumed" : "");
            if (resume && reused != n)
                fprintf(stderr, "%s: only %ld of %ld resumed\n", nm, reused, n);
            out(nm, (double)n / ts, "1/s/core");
            snprintf(nm, sizeof nm, "%s%s_both_ends", name, resume ? "_resumed" : "");
            out(nm, (double)n / e, "1/s/core");
        }
        SSL_CTX_free(cs);
        SSL_CTX_free(cc);
    }
}

static void tls_bulk(void)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    X509 *ecc = self_signed(ec);
    /* TLS over loopback TCP, one stream, sender and receiver in processes of their own */
    static const struct {
        const char *n, *suite;
    } bulk[] = { { "tls13_loopback_aes128gcm", "TLS_AES_128_GCM_SHA256" },
        { "tls13_loopback_aes256gcm", "TLS_AES_256_GCM_SHA384" } };
    for (int k = 0; k < 2; k++) {
        if (!want(bulk[k].n))
            continue;
        int port, ls = listener(&port), pp[2];
        SSL_CTX *cs = make_ctx(1, ec, ecc, bulk[k].suite),
                *cc = make_ctx(0, NULL, NULL, bulk[k].suite);
        if (pipe(pp))
            die("pipe");
        pid_t p = fork();
        if (!p) {
            int c = accept(ls, NULL, NULL);
            SSL *s = SSL_new(cs);
            SSL_set_fd(s, c);
            SSL_accept(s);
            signal(SIGPIPE, SIG_IGN);
            double sent = 0, c0 = cpu();
            for (;;) {
                int r = SSL_write(s, buf, 1 << 18);
                if (r <= 0)
                    break;
                sent += r;
            }
            double v = sent / (cpu() - c0);
            if (write(pp[1], &v, sizeof v) < 0)
                _exit(1);
            _exit(0);
        }
        int fd = dial(port);
        SSL *c = SSL_new(cc);
        SSL_set_fd(c, fd);
        SSL_connect(c);
        SSL_set_read_ahead(c, 1);
        double t = now(), e, got = 0, per = 0;
        static char rb[1 << 18];
        while ((e = now() - t) < 2 * SECS) {
            int r = SSL_read(c, rb, sizeof rb);
            if (r <= 0)
                break;
            got += r;
        }
        close(fd);
        if (read(pp[0], &per, sizeof per) < 0)
            per = 0;
        waitpid(p, NULL, 0);
        out(bulk[k].n, got / e / 1e9, "GB/s");
        char nm[96];
        snprintf(nm, sizeof nm, "%s_per_sender_cpu", bulk[k].n);
        out(nm, per / 1e9, "GB/s/core");
        close(ls);
        close(pp[0]);
        close(pp[1]);
        SSL_free(c);
        SSL_CTX_free(cs);
        SSL_CTX_free(cc);
    }
}

/* ------------------------------------------------------------ cpu, kernel */
static void memory(void)
{
    static const struct {
        const char *n;
        size_t sz;
    } m[] = { { "memcpy_64k", 65536 }, { "memcpy_64m", 64 << 20 } };
    for (int k = 0; k < 2; k++) {
        if (!want(m[k].n))
            continue;
        char *a = malloc(m[k].sz), *b = malloc(m[k].sz);
        memset(a, 1, m[k].sz);
        memset(b, 2, m[k].sz);
        double t = now(), e, n = 0;
        while ((e = now() - t) < SECS) {
            memcpy(a, b, m[k].sz);
            __asm__ volatile("" ::"r"(a) : "memory");
            n += (double)m[k].sz;
        }
        out(m[k].n, n / e / 1e9, "GB/s");
        free(a);
        free(b);
    }
    if (want("scan_memmem_64m")) { /* exact search through text */
        size_t sz = 64 << 20;
        char *a = malloc(sz + 1);
        uint64_t x = 88172645463325252u;
        for (size_t i = 0; i < sz; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            a[i] = (char)("etaoinshrdlu etaoin\nbcfgm"[x % 25]);
        }
        double t = now(), e, n = 0;
        while ((e = now() - t) < SECS) {
            if (memmem(a, sz, "needle042q", 10))
                n++;
            n += (double)sz;
        }
        out("scan_memmem_64m", n / e / 1e9, "GB/s");
        free(a);
    }
}

static void files(void)
{
    if (want("open_read_close_20k")) {
        int fd = open(file("l.o"), O_CREAT | O_TRUNC | O_RDWR, 0600);
        if (write(fd, buf, 20000) < 0)
            die("write");
        close(fd);
        static char rb[32768];
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS) {
            fd = open(path, O_RDONLY);
            if (read(fd, rb, sizeof rb) != 20000)
                die("read");
            close(fd);
            n++;
        }
        out("open_read_close_20k", (double)n / e, "ops/s");
        fd = open(path, O_RDONLY);
        for (n = 0, t = now(); (e = now() - t) < SECS; n++)
            if (pread(fd, rb, 20000, 0) != 20000)
                die("pread");
        out("pread_20k", (double)n / e, "ops/s");
        close(fd);
        unlink(path);
    }
}

static void kernel(void)
{
    if (want("syscall_getppid")) {
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS)
            for (int i = 0; i < 100; i++, n++)
                getppid();
        out("syscall_getppid", (double)n / e, "ops/s");
    }
    if (want("fork_exit")) {
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS) {
            pid_t p = fork();
            if (!p)
                _exit(0);
            waitpid(p, NULL, 0);
            n++;
        }
        out("fork_exit", (double)n / e, "ops/s");
    }
    if (want("spawn_true")) {
        extern char **environ;
        static char name[] = "true";
        char *av[] = { name, NULL };
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS) {
            pid_t p;
            if (posix_spawn(&p, "/bin/true", NULL, NULL, av, environ))
                break;
            waitpid(p, NULL, 0);
            n++;
        }
        out("spawn_true", (double)n / e, "ops/s");
    }
    if (want("pipe_switch")) { /* two processes waking each other */
        int a[2], b[2];
        char c = 0;
        if (pipe(a) || pipe(b))
            die("pipe");
        pid_t p = fork();
        if (!p)
            for (;;)
                if (read(a[0], &c, 1) != 1 || write(b[1], &c, 1) != 1)
                    _exit(0);
        double t = now(), e;
        long n = 0;
        while ((e = now() - t) < SECS) {
            if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1)
                break;
            n++;
        }
        kill(p, SIGKILL);
        waitpid(p, NULL, 0);
        out("pipe_switch", (double)n / e, "roundtrips/s");
    }
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    dir = argc > 1 ? argv[1] : temporary ? temporary : "/tmp";
    if (argc > 2)
        only = argv[2];
    signal(SIGPIPE, SIG_IGN);
    memset(buf, 'x', sizeof buf);
    disk();
    disk_files();
    disk_sequential();
    parallel();
    group();
    loopback_bulk();
    loopback_roundtrips();
    loopback_connects();
    tls_ciphers();
    tls_handshakes();
    tls_bulk();
    memory();
    files();
    kernel();
    return 0;
}
