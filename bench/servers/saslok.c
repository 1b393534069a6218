/* saslok - answers OK to every saslauthd request when the password matches.
 * Cyrus IMAP asks saslauthd for plain-text logins; this stands in for it, so
 * that no password hashing and no database is measured (Dovecot gets a static
 * passdb for the same reason).
 * usage: saslok SOCKET PASSWORD */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int get(int fd, void *p, size_t n)
{
    char *b = p;
    while (n) {
        ssize_t r = read(fd, b, n);
        if (r <= 0)
            return -1;
        b += r;
        n -= (size_t)r;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 3 || s < 0)
        return 2;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]);
    unlink(argv[1]);
    if (bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 1024) < 0)
        return 1;
    chmod(argv[1], 0777);
    for (;;) {
        int c = accept(s, NULL, NULL), ok = 0, bad = 0;
        if (c < 0)
            continue;
        for (int i = 0; i < 4; i++) { /* user, password, service, realm */
            uint8_t l[2];
            char b[65536];
            if (get(c, l, 2) < 0 || get(c, b, (size_t)l[0] << 8 | l[1]) < 0) {
                bad = 1;
                break;
            }
            b[(size_t)l[0] << 8 | l[1]] = 0;
            if (i == 1)
                ok = !strcmp(b, argv[2]);
        }
        if (!bad) {
            ssize_t r = write(c, ok ? "\0\2OK" : "\0\2NO", 4);
            (void)r;
        }
        close(c);
    }
}
