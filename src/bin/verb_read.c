/* The read and save verbs: one message of a server, as text, as a file, or its attachments as files. */
#include "bin/client_common.h"
#include "bin/mail_show.h"
#include "bin/mail_take.h"
#include "bin/verb_mail.h"
#include "bin/verb_mime_int.h"
#include "message/filename.h"
#include "message/header.h"
#include "sync/near.h"

#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES_MAX (1u << 20)
#define PIECE_BYTES      65536u

/* One message: a single UID. */
static int one_uid(const char *word, uint32_t *out_uid)
{
    uint64_t number;
    if (slice_to_u64(slice_of(word), UINT32_MAX, &number) != ERR_OK || number == 0) {
        cli_error(MSG_READ_ONE_UID, word);
        return EX_USAGE;
    }
    *out_uid = (uint32_t)number;
    return EX_OK;
}

/* ---- read ---- */

static void put(struct buf *line)
{
    fwrite(buf_slice(line).ptr, 1, buf_len(line), stdout);
    buf_clear(line);
}

/* The header of the message itself, as far as people care. */
static enum err show_header(struct mail_message *message, struct msg_source *source)
{
    static const struct {
        const char *name;
        enum message_id label;
    } rows[] = {
        { "From", MSG_READ_FROM },
        { "To", MSG_READ_TO },
        { "Cc", MSG_READ_CC },
        { "Date", MSG_READ_DATE },
        { "Subject", MSG_READ_SUBJECT },
    };
    struct buf header, line;
    size_t cursor = 0;
    struct msg_part whole;
    buf_init(&header, 0);
    buf_init(&line, 0);
    enum err e = msg_part_next(&message->summary, &cursor, &whole) ? ERR_OK : ERR_CORRUPT;
    size_t len = whole.header_len < HEADER_BYTES_MAX ? (size_t)whole.header_len : HEADER_BYTES_MAX;
    if (e == ERR_OK)
        e = msg_source_read(source, whole.header_offset, len, &header);
    for (size_t i = 0; e == ERR_OK && i < sizeof rows / sizeof rows[0]; i++) {
        struct slice rest = buf_slice(&header);
        struct msg_field field;
        while (msg_field_next(&rest, &field)) {
            if (!slice_eq_nocase(field.name, slice_of(rows[i].name)))
                continue;
            buf_addf(&line, "%s: ", tr(rows[i].label));
            mail_add_value(field.value, &line);
            buf_addc(&line, '\n');
            put(&line);
        }
    }
    buf_done(&header);
    buf_done(&line);
    return e;
}

static bool is_text(const struct msg_part *part, const char *subtype)
{
    return slice_eq(part->type, SLICE("text")) && slice_eq(part->subtype, slice_of(subtype)) &&
           !mime_is_attachment(part);
}

struct showing {
    bool ended; /* the last line has its end */
};

static enum err show_piece(void *arg, struct slice utf8)
{
    struct showing *showing = arg;
    struct buf line;
    struct slice rest = utf8, text;
    buf_init(&line, 0);
    while (rest.len) {
        size_t end = slice_index(rest, '\n');
        text = slice_sub(rest, 0, end);
        if (text.len && text.ptr[text.len - 1] == '\r')
            text.len--;
        cli_add_safe(&line, text);
        showing->ended = end < rest.len;
        if (showing->ended)
            buf_addc(&line, '\n');
        put(&line);
        rest = slice_from_index(rest, end + 1);
    }
    buf_done(&line);
    return ferror(stdout) ? ERR_IO : ERR_OK;
}

/* All texts of one kind, in their order; *out_any: there was one. */
static enum err show_texts(
    struct mail_message *message, struct msg_source *source, const char *subtype, bool *out_any)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    *out_any = false;
    while (mime_walk_next(&walk, &message->summary, &part)) {
        if (!is_text(&part, subtype))
            continue;
        struct showing showing = { .ended = true };
        *out_any = true;
        putchar('\n');
        TRY(msg_read_text(source, &part, show_piece, &showing));
        if (!showing.ended)
            putchar('\n');
    }
    return ERR_OK;
}

static void show_attachments(struct mail_message *message)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    struct buf line;
    bool any = false;
    buf_init(&line, 0);
    while (mime_walk_next(&walk, &message->summary, &part)) {
        char size[48];
        if (!mime_is_attachment(&part))
            continue;
        if (!any)
            putchar('\n');
        any = true;
        client_size(part.body_len, size, sizeof size);
        buf_addf(&line, "[%s] ", *walk.number ? walk.number : "0");
        mail_add_isolated(part.filename, &line);
        buf_addf(&line, "%s", part.filename.len ? "  " : "");
        cli_add_safe(&line, part.type);
        buf_addc(&line, '/');
        cli_add_safe(&line, part.subtype);
        buf_addf(&line, "  %s\n", size);
        put(&line);
    }
    if (any)
        cli_say(MSG_READ_ATTACHMENTS);
    buf_done(&line);
}

static int show(struct mail_message *message)
{
    struct msg_source source = mail_message_source(message);
    bool any;
    enum err e = show_header(message, &source);
    if (e == ERR_OK)
        e = show_texts(message, &source, "plain", &any);
    if (e == ERR_OK && !any)
        e = show_texts(message, &source, "html", &any);
    if (e == ERR_OK)
        show_attachments(message);
    if (e == ERR_OK && fflush(stdout) == 0)
        return EX_OK;
    cli_error_text(err_words(e == ERR_OK ? ERR_IO : e));
    return EX_IOERR;
}

/* Whoever was shown it has read it. */
static int mark_seen(struct mail_session *session, uint32_t uid)
{
    struct uidset uids;
    uidset_init(&uids);
    uidset_add(&uids, uid);
    enum err e = imapc_store(session->imap, &uids, '+', SLICE("\\Seen"));
    uidset_done(&uids);
    return e == ERR_OK ? EX_OK : mail_failed(session, e);
}

int verb_read(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session;
    struct mail_message message = { .fd = -1 };
    const struct imapc_folder *folder;
    const char *words[2], *name;
    int count = 0;
    uint32_t uid;
    bool peek = false;
    (void)cli;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--peek") == 0)
            peek = true;
        else if (count == 2)
            return mail_usage(MSG_READ_USAGE);
        else
            words[count++] = argv[i];
    }
    if (count < 2)
        return mail_usage(MSG_READ_USAGE);
    int code = one_uid(words[1], &uid);
    if (code)
        return code;
    code = mail_begin(&session, words[0], &name);
    if (!code)
        code = mail_select(&session, name, peek, &folder, NULL);
    if (!code)
        code = mail_take(&session, uid, &message);
    if (!code)
        code = show(&message);
    if (!code && !peek)
        code = mark_seen(&session, uid);
    mail_message_done(&message);
    mail_end(&session);
    return code;
}

/* ---- save ---- */

/* A file on its way: under another name until it is whole and on the disk. */
struct saving {
    int folder, fd;
    const char *folder_name;
    char hidden[96];
};

static int save_failed(struct saving *saving, const char *what, int errno_value)
{
    cli_error(MSG_FILE_FAILED, what, strerror(errno_value));
    if (saving->fd >= 0)
        close(saving->fd);
    saving->fd = -1;
    if (saving->hidden[0])
        (void)unlinkat(saving->folder, saving->hidden, 0);
    return EX_CANTCREAT;
}

static int begin_file(struct saving *saving)
{
    char base[80];
    near_new_base(base);
    snprintf(saving->hidden, sizeof saving->hidden, ".%s.part", base);
    saving->fd = openat(
        saving->folder, saving->hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (saving->fd >= 0)
        return EX_OK;
    saving->hidden[0] = '\0';
    return save_failed(saving, saving->folder_name, errno);
}

static enum err write_piece(void *arg, struct slice piece)
{
    const struct saving *saving = arg;
    return file_write(saving->fd, piece);
}

/* Synced, then named; a name that is taken is not touched. */
static int end_file(struct saving *saving, struct slice name)
{
    struct buf tried;
    if (fsync(saving->fd) < 0 || close(saving->fd) < 0) {
        int problem = errno;
        saving->fd = -1;
        return save_failed(saving, saving->folder_name, problem);
    }
    saving->fd = -1;
    buf_init(&tried, 0);
    enum err e = ERR_EXISTS;
    for (int i = 1; e == ERR_EXISTS && i <= MIME_SAME_NAME_MAX; i++) {
        buf_clear(&tried);
        mime_name_again(name, i, &tried);
        e = near_rename(saving->folder, saving->hidden, saving->folder, buf_slice(&tried).ptr);
    }
    int code = EX_OK;
    if (e != ERR_OK || fsync(saving->folder) < 0) {
        code = save_failed(saving, saving->folder_name, e == ERR_EXISTS ? EEXIST : errno);
    } else {
        struct buf line;
        buf_init(&line, 0);
        cli_add_safe(&line, slice_of(saving->folder_name));
        buf_addc(&line, '/');
        cli_add_safe(&line, slice_of(buf_slice(&tried).ptr));
        buf_addc(&line, '\n');
        put(&line);
        buf_done(&line);
    }
    buf_done(&tried);
    return code;
}

static enum err copy_all(struct msg_source *source, struct saving *saving)
{
    struct buf piece;
    enum err e = ERR_OK;
    buf_init(&piece, 0);
    for (uint64_t at = 0; e == ERR_OK && at < source->size; at += PIECE_BYTES) {
        uint64_t left = source->size - at;
        buf_clear(&piece);
        e = msg_source_read(source, at, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, &piece);
        if (e == ERR_OK)
            e = write_piece(saving, buf_slice(&piece));
    }
    buf_done(&piece);
    return e;
}

/* Named after its subject. */
static int save_message(struct mail_message *message, struct saving *saving, uint32_t uid)
{
    struct msg_source source = mail_message_source(message);
    struct msg_facts facts;
    struct buf subject, name;
    int code = begin_file(saving);
    if (code)
        return code;
    if (copy_all(&source, saving) != ERR_OK)
        return save_failed(saving, saving->folder_name, errno);
    buf_init(&subject, 0);
    buf_init(&name, 0);
    msg_facts(&message->summary, &facts);
    msg_decode_words(facts.subject, &subject);
    if (!buf_len(&subject))
        buf_addf(&subject, "%u", (unsigned)uid);
    buf_adds(&subject, ".eml");
    msg_safe_filename(buf_slice(&subject), &name);
    code = end_file(saving, buf_slice(&name));
    buf_done(&subject);
    buf_done(&name);
    return code;
}

static int save_part(struct mail_message *message, struct saving *saving,
    const struct msg_part *part, const char *number)
{
    struct msg_source source = mail_message_source(message);
    struct msg_range range = { part->body_offset, part->body_len };
    struct buf name;
    int code = begin_file(saving);
    if (code)
        return code;
    if (msg_decode_range(&source, range,
            msg_part_encoding(part->type, part->subtype, part->encoding), write_piece,
            saving) != ERR_OK)
        return save_failed(saving, saving->folder_name, errno);
    buf_init(&name, 0);
    mime_propose_name(part, number, &name);
    code = end_file(saving, buf_slice(&name));
    buf_done(&name);
    return code;
}

/* number NULL: all attachments. What is inside of a message that is saved whole is not saved again. */
static int save_parts(struct mail_message *message, struct saving *saving, const char *number)
{
    struct mime_walk walk = { 0 };
    struct msg_part part;
    bool any = false;
    uint32_t inside = UINT32_MAX;
    int code = EX_OK;
    while (!code && mime_walk_next(&walk, &message->summary, &part)) {
        bool wanted = number ? strcmp(walk.number, number) == 0 : mime_is_attachment(&part);
        if (!number && part.depth > inside)
            continue;
        inside = wanted ? part.depth : UINT32_MAX;
        if (!wanted)
            continue;
        any = true;
        code = save_part(message, saving, &part, walk.number);
    }
    if (code || any)
        return code;
    if (number)
        cli_error(MSG_MIME_NO_PART, number);
    else
        cli_say(MSG_MIME_NOTHING);
    return number ? EX_DATAERR : EX_OK;
}

struct save_words {
    const char *folder, *uid, *to, *part;
    bool attachments;
};

static int read_save_words(int argc, char **argv, struct save_words *words)
{
    *words = (struct save_words){ .to = "." };
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--to") == 0     ? &words->to
                             : strcmp(argv[i], "--part") == 0 ? &words->part
                                                              : NULL;
        if (value && !(*value = mail_value(argc, argv, &i)))
            return EX_USAGE;
        if (value)
            continue;
        if (strcmp(argv[i], "--attachments") == 0)
            words->attachments = true;
        else if (!words->folder)
            words->folder = argv[i];
        else if (!words->uid)
            words->uid = argv[i];
        else
            return mail_usage(MSG_SAVE_USAGE);
    }
    return words->uid ? EX_OK : mail_usage(MSG_SAVE_USAGE);
}

static int save(const struct save_words *words, uint32_t uid, struct saving *saving)
{
    struct mail_session session;
    struct mail_message message = { .fd = -1 };
    const struct imapc_folder *folder;
    const char *name;
    int code = mail_begin(&session, words->folder, &name);
    if (!code)
        code = mail_select(&session, name, true, &folder, NULL);
    if (!code)
        code = mail_take(&session, uid, &message);
    if (!code)
        code = words->part || words->attachments ? save_parts(&message, saving, words->part)
                                                 : save_message(&message, saving, uid);
    mail_message_done(&message);
    mail_end(&session);
    return code;
}

int verb_save(const struct cli *cli, int argc, char **argv)
{
    struct save_words words;
    uint32_t uid;
    (void)cli;
    int code = read_save_words(argc, argv, &words);
    if (!code)
        code = one_uid(words.uid, &uid);
    if (code)
        return code;
    struct saving saving = { .fd = -1, .folder_name = words.to };
    saving.folder = open(words.to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (saving.folder < 0) {
        cli_error(MSG_FILE_FAILED, words.to, strerror(errno));
        return EX_CANTCREAT;
    }
    code = save(&words, uid, &saving);
    close(saving.folder);
    return code;
}
