/* The flag, mv and rm verbs: changes of messages, on the server alone. */
#include "bin/mail_session.h"
#include "bin/verb_mail.h"

#include <stdio.h>
#include <string.h>

/* ---- flag ---- */

static const struct {
    struct slice word;
    const char *flag;
} flag_words[] = {
    { SLICE_CONST("seen"), "\\Seen" },
    { SLICE_CONST("flagged"), "\\Flagged" },
    { SLICE_CONST("answered"), "\\Answered" },
    { SLICE_CONST("draft"), "\\Draft" },
    { SLICE_CONST("deleted"), "\\Deleted" },
};

/* Appends "\\Seen" for "seen"; another word is a keyword. False: it cannot be one. */
static bool add_flag(struct buf *out, struct slice word)
{
    if (buf_len(out))
        buf_addc(out, ' ');
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        if (slice_eq_nocase(word, flag_words[i].word)) {
            buf_adds(out, flag_words[i].flag);
            return true;
        }
    }
    buf_add(out, word);
    return word.len && word.ptr[0] != '\\' && imapc_flag_ok(word);
}

static int read_changes(char **words, int count, struct buf *plus, struct buf *minus)
{
    for (int i = 0; i < count; i++) {
        bool adds = words[i][0] == '+';
        if ((!adds && words[i][0] != '-') ||
            !add_flag(adds ? plus : minus, slice_of(words[i] + 1))) {
            cli_error(MSG_FLAG_BAD, words[i]);
            return EX_USAGE;
        }
    }
    return EX_OK;
}

static enum err change(
    struct imapc *imap, const struct uidset *uids, const struct buf *plus, const struct buf *minus)
{
    if (buf_len(plus))
        TRY(imapc_store(imap, uids, '+', buf_slice(plus)));
    if (buf_len(minus))
        TRY(imapc_store(imap, uids, '-', buf_slice(minus)));
    return ERR_OK;
}

static int run_flag(
    const char *word, const struct uidset *uids, const struct buf *plus, const struct buf *minus)
{
    struct mail_session session;
    const struct imapc_folder *folder;
    const char *name;
    int code = mail_begin(&session, word, &name);
    if (!code)
        code = mail_select(&session, name, false, &folder, NULL);
    enum err e = code ? ERR_OK : change(session.imap, uids, plus, minus);
    if (e != ERR_OK)
        code = mail_failed(&session, e);
    mail_end(&session);
    return code;
}

int verb_flag(const struct cli *cli, int argc, char **argv)
{
    struct uidset uids;
    struct buf plus, minus;
    (void)cli;
    if (argc < 4)
        return mail_usage(MSG_FLAG_USAGE);
    uidset_init(&uids);
    buf_init(&plus, 0);
    buf_init(&minus, 0);
    int code = mail_uids(argv[2], &uids);
    if (!code)
        code = read_changes(argv + 3, argc - 3, &plus, &minus);
    if (!code)
        code = run_flag(argv[1], &uids, &plus, &minus);
    uidset_done(&uids);
    buf_done(&plus);
    buf_done(&minus);
    return code;
}

/* ---- mv ---- */

static int make_target(
    struct mail_session *session, const char *name, const struct imapc_folder **out_folder)
{
    struct buf far_name;
    buf_init(&far_name, 0);
    enum err e = imapc_far_name(&session->folders, slice_of(name), &far_name);
    int code = EX_OK;
    if (e != ERR_OK) {
        cli_error(MSG_MAIL_BAD_FOLDER);
        code = EX_USAGE;
    } else {
        buf_addc(&far_name, '\0');
        e = imapc_create(session->imap, buf_slice(&far_name).ptr);
        code = e == ERR_OK ? EX_OK : mail_failed(session, e);
    }
    buf_done(&far_name);
    if (code)
        return code;
    imapc_folders_done(&session->folders);
    session->listed = false;
    return mail_find(session, name, out_folder);
}

static int find_target(struct mail_session *session, const char *name, bool make,
    const struct imapc_folder **out_folder)
{
    int code = mail_folders(session, false);
    if (!code && make && !imapc_folder_find(&session->folders, slice_of(name)))
        return make_target(session, name, out_folder);
    return code ? code : mail_find(session, name, out_folder);
}

/* The target first: it must be there before anything is touched, and listing anew moves what was found before. */
static int move_to(struct mail_session *session, const char *from, const struct uidset *uids,
    const char *to, bool make)
{
    const struct imapc_folder *target, *folder;
    if (!imapc_can_move(session->imap)) {
        cli_error(MSG_MV_CANNOT);
        return EX_UNAVAILABLE;
    }
    int code = find_target(session, to, make, &target);
    if (!code)
        code = mail_select(session, from, false, &folder, NULL);
    if (code || folder == target)
        return code; /* it is there */
    enum err e = imapc_move(session->imap, uids, target->far_name);
    return e == ERR_OK ? EX_OK : mail_failed(session, e);
}

int verb_mv(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session;
    struct uidset uids;
    const char *name;
    bool make = false;
    int words = 0;
    (void)cli;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--make") == 0)
            make = true;
        else
            argv[words++] = argv[i];
    }
    if (words != 3)
        return mail_usage(MSG_MV_USAGE);
    uidset_init(&uids);
    int code = mail_uids(argv[1], &uids);
    if (!code) {
        code = mail_begin(&session, argv[0], &name);
        if (!code)
            code = move_to(&session, name, &uids, argv[2], make);
        mail_end(&session);
    }
    uidset_done(&uids);
    return code;
}

/* ---- rm ---- */

static int remove_for_good(
    struct mail_session *session, const char *name, const struct uidset *uids)
{
    const struct imapc_folder *folder;
    if (!imapc_can_remove(session->imap)) {
        cli_error(MSG_RM_CANNOT);
        return EX_UNAVAILABLE;
    }
    int code = mail_select(session, name, false, &folder, NULL);
    if (code)
        return code;
    enum err e = imapc_remove(session->imap, uids);
    return e == ERR_OK ? EX_OK : mail_failed(session, e);
}

static int remove_some(
    struct mail_session *session, const char *name, const struct uidset *uids, bool for_good)
{
    const struct imapc_folder *folder;
    int code = mail_find(session, name, &folder);
    if (code)
        return code;
    const struct imapc_folder *trash = imapc_folder_of_use(&session->folders, IMAPC_USE_TRASH);
    if (for_good || folder == trash)
        return remove_for_good(session, name, uids);
    if (!trash) {
        cli_error(MSG_RM_NO_TRASH);
        return EX_UNAVAILABLE;
    }
    return move_to(session, name, uids, trash->name, false);
}

int verb_rm(const struct cli *cli, int argc, char **argv)
{
    struct mail_session session;
    struct uidset uids;
    const char *name;
    bool for_good = false;
    int words = 0;
    (void)cli;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--for-good") == 0)
            for_good = true;
        else
            argv[words++] = argv[i];
    }
    if (words != 2)
        return mail_usage(MSG_RM_USAGE);
    uidset_init(&uids);
    int code = mail_uids(argv[1], &uids);
    if (!code) {
        code = mail_begin(&session, argv[0], &name);
        if (!code)
            code = remove_some(&session, name, &uids, for_good);
        mail_end(&session);
    }
    uidset_done(&uids);
    return code;
}
