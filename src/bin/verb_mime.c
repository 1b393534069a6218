/* The mime verb: how a message is read, and its parts as files. */
#include "bin/verb_mime.h"

#include "bin/verb_mime_int.h"

#include <stdio.h>
#include <string.h>

static enum err write_imap(const struct mime_file *file, struct buf *line)
{
    buf_addf(line, "(RFC822.SIZE %zu ENVELOPE ", buf_len(&file->bytes));
    TRY(msg_write_envelope(&file->summary, line));
    buf_adds(line, " BODYSTRUCTURE ");
    TRY(msg_write_bodystructure(&file->summary, true, line));
    buf_adds(line, ")\n");
    return buf_err(line);
}

static int show_imap(const char *path)
{
    struct mime_file file;
    struct buf line;
    buf_init(&line, 0);
    int code = mime_file_open(&file, path, true);
    if (code == EX_OK && write_imap(&file, &line) != ERR_OK)
        code = EX_SOFTWARE;
    if (code == EX_OK)
        fwrite(buf_slice(&line).ptr, 1, buf_len(&line), stdout);
    else
        puts("()"); /* keeps one answer for each file */
    mime_file_done(&file);
    buf_done(&line);
    return code;
}

static int show_imap_all(char **paths, int count)
{
    int worst = EX_OK;
    for (int i = 0; i < count; i++) {
        int code = show_imap(paths[i]);
        worst = code == EX_OK ? worst : code;
    }
    return worst;
}

static int usage(void)
{
    fprintf(stderr, "%s\n", tr(MSG_MIME_USAGE));
    return EX_USAGE;
}

/* extract [--to FOLDER] FILE [PART...] */
static int extract(int argc, char **argv)
{
    const char *folder = ".";
    int words = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--to") != 0) {
            argv[words++] = argv[i];
        } else if (++i < argc) {
            folder = argv[i];
        } else {
            cli_error(MSG_OPTION_NEEDS_VALUE, "--to");
            return EX_USAGE;
        }
    }
    if (!words)
        return usage();
    return mime_extract(argv[0], folder, argv + 1, words - 1);
}

int verb_mime(const struct cli *cli, int argc, char **argv)
{
    int code;
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--imap") == 0 && argc > 2)
        code = show_imap_all(argv + 2, argc - 2);
    else if (strcmp(first, "extract") == 0 && argc > 2)
        code = extract(argc - 2, argv + 2);
    else if (argc == 2 && strcmp(first, "extract") != 0 && strncmp(first, "--", 2) != 0)
        code = cli->json ? mime_show_json(first) : mime_show_tree(first);
    else
        return usage();
    if (fflush(stdout) != 0 && code == EX_OK)
        code = EX_IOERR;
    return code;
}
