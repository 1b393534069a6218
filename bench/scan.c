/* What the message scanner costs: CPU time of summaries, and of the scanner alone over a large message. Built and run by bench/scan. */
#include "base/arena.h"
#include "base/buf.h"
#include "message/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As IMAP and SMTP bring it: CRLF line ends, no NUL. */
static void load(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    int c, before = 0;
    if (!file) {
        perror(path);
        exit(1);
    }
    while ((c = getc(file)) != EOF) {
        if (!c)
            continue;
        if (c == '\n' && before != '\r')
            buf_addc(out, '\r');
        buf_addc(out, (char)c);
        before = c;
    }
    fclose(file);
}

static void summarize(struct slice message, struct buf *out)
{
    buf_clear(out);
    if (msg_summary_make(message, out) != ERR_OK)
        exit(1);
}

struct messages {
    struct buf *at;
    size_t count, bytes;
};

static void add(struct messages *messages, const char *path)
{
    messages->at = mem_realloc(messages->at, (messages->count + 1) * sizeof *messages->at);
    struct buf *message = &messages->at[messages->count++];
    buf_init(message, 0);
    load(path, message);
    messages->bytes += buf_len(message);
}

/* usage: scan ROUNDS [FILE...]; without files their names come from standard input, one a line */
int main(int argc, char **argv)
{
    struct messages messages = { 0 };
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    if (rounds <= 0) {
        fprintf(stderr, "usage: scan ROUNDS [FILE...]\n");
        return 64;
    }
    for (int i = 2; i < argc; i++)
        add(&messages, argv[i]);
    char path[4096];
    while (argc == 2 && fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        add(&messages, path);
    }
    if (!messages.count)
        return 0;
    size_t summary_bytes = 0;
    struct buf out;
    buf_init(&out, 0);
    double start = cpu_s();
    for (int round = 0; round < rounds; round++) {
        summary_bytes = 0;
        for (size_t i = 0; i < messages.count; i++) {
            summarize(buf_slice(&messages.at[i]), &out);
            summary_bytes += buf_len(&out);
        }
    }
    double spent = (cpu_s() - start) / rounds;
    printf("%zu messages, %zu bytes, summaries %zu bytes: %.2f us a message, %.0f MB/s\n",
        messages.count, messages.bytes, summary_bytes, spent * 1e6 / (double)messages.count,
        (double)messages.bytes / spent / 1e6);
    for (size_t i = 0; i < messages.count; i++)
        buf_done(&messages.at[i]);
    free(messages.at);
    buf_done(&out);
    return 0;
}
