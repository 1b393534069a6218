/* Sessions of the one-off verbs. */
#include "bin/mail_session.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UID_RUNS_MAX 10000u /* in one word; a command line has hardly room for more */

char *mail_cut_word(
    const struct client_accounts *accounts, const char *word, const char **out_folder)
{
    const char *colon = word ? strchr(word, ':') : NULL;
    *out_folder = word ? word : "";
    if (!colon || colon == word)
        return NULL;
    char *name = mem_strndup(word, (size_t)(colon - word));
    if (!client_accounts_find(accounts, name)) {
        free(name);
        return NULL;
    }
    *out_folder = colon + 1;
    return name;
}

int mail_log_in(struct mail_session *session)
{
    struct client_use *use = &session->use;
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    if (!use->account->imap.host) {
        cli_error(MSG_MAIL_NO_IMAP, use->account->name, use->account->name);
        return EX_CONFIG;
    }
    int code = client_use_secret(use);
    if (code)
        return code;
    if (client_imap_open(use, &session->imap, &failure) != ERR_OK)
        return client_say_failure(use, &use->account->imap, &failure);
    return EX_OK;
}

int mail_begin_account(struct mail_session *session, const char *account)
{
    *session = (struct mail_session){ .imap = NULL };
    int code = client_use_begin(&session->use, account);
    return code ? code : mail_log_in(session);
}

int mail_begin(struct mail_session *session, const char *word, const char **out_folder)
{
    *session = (struct mail_session){ .imap = NULL };
    int code = client_use_load(&session->use);
    if (code)
        return code;
    autofree char *account = mail_cut_word(&session->use.accounts, word, out_folder);
    code = client_use_choose(&session->use, account);
    return code ? code : mail_log_in(session);
}

void mail_end(struct mail_session *session)
{
    imapc_close(session->imap);
    imapc_folders_done(&session->folders);
    client_use_done(&session->use);
}

int mail_failed(struct mail_session *session, enum err e)
{
    const struct client_server *server = &session->use.account->imap;
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    if (imapc_is_broken(session->imap))
        (void)imapc_failed(session->imap, &failure);
    else
        (void)client_failed_said(
            &failure, CLIENT_WHY_REFUSED, e, slice_of(imapc_words(session->imap)));
    return client_say_failure(&session->use, server, &failure);
}

int mail_folders(struct mail_session *session, bool with_status)
{
    if (session->listed)
        return EX_OK;
    enum err e = imapc_list(session->imap, with_status, &session->folders);
    session->listed = e == ERR_OK;
    return e == ERR_OK ? EX_OK : mail_failed(session, e);
}

int mail_find(
    struct mail_session *session, const char *name, const struct imapc_folder **out_folder)
{
    int code = mail_folders(session, false);
    if (code)
        return code;
    const struct imapc_folder *folder = imapc_folder_find(&session->folders, slice_of(name));
    if (folder && !folder->noselect) {
        *out_folder = folder;
        return EX_OK;
    }
    autofree char *shown = cli_safe(slice_of(name));
    autofree char *account = cli_word(session->use.account->name);
    cli_error(MSG_MAIL_NO_FOLDER, shown, account);
    return EX_NOINPUT;
}

int mail_select(struct mail_session *session, const char *name, bool read_only,
    const struct imapc_folder **out_folder, struct imapc_box *out_box)
{
    struct imapc_box box = { 0 };
    int code = mail_find(session, name, out_folder);
    if (code)
        return code;
    enum err e = imapc_select(session->imap, (*out_folder)->far_name, read_only, &box);
    if (e != ERR_OK)
        return mail_failed(session, e);
    if (out_box)
        *out_box = box;
    else
        imapc_box_done(&box);
    return EX_OK;
}

int mail_uids(const char *word, struct uidset *out_uids)
{
    if (uidset_read(out_uids, slice_of(word), UID_RUNS_MAX) == ERR_OK && !uidset_empty(out_uids))
        return EX_OK;
    autofree char *shown = cli_safe(slice_of(word));
    cli_error(MSG_MAIL_BAD_UIDS, shown);
    return EX_USAGE;
}

int mail_usage(enum message_id usage)
{
    fprintf(stderr, "%s\n", tr(usage));
    return EX_USAGE;
}

const char *mail_value(int argc, char **argv, int *at)
{
    if (*at + 1 < argc)
        return argv[++*at];
    cli_error(MSG_OPTION_NEEDS_VALUE, argv[*at]);
    return NULL;
}
