/* The browser is asked to open the page where there is one; the address is shown in any case. */
#include "bin/oauth_person.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "bin/cli.h"
#include "client/core/command.h"
#include "client/core/oauth_login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- the browser ---- */

/* The first word of $BROWSER (a list with colons), else what opens things on a desktop; NULL: there is no desktop. */
static char *browser_program(void)
{
    const char *wanted = getenv("BROWSER");
    struct slice rest = slice_of(wanted), first;
    if (slice_cut(&rest, ':', &first) && first.len > 0)
        return mem_strndup(first.ptr, first.len);
    bool desktop = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
    return desktop ? mem_strdup("xdg-open") : NULL;
}

static void open_browser(const char *page)
{
    autofree char *program = browser_program(), *copy = mem_strdup(page);
    char *words[] = { program, copy, NULL };
    struct err_note note;
    if (program && client_command_launch(words, "browser", &note) != ERR_OK)
        return; /* the address stands on the terminal */
}

/* ---- what is said ---- */

static void show(void *arg, struct slice page, struct slice code, struct slice complete)
{
    const struct oauth_person *person = arg;
    autofree char *page_text = cli_safe(page), *code_text = cli_safe(code);
    autofree char *complete_text = cli_safe(complete);
    if (code.len) {
        cli_error_more(MSG_OAUTH_CODE, page_text, code_text);
        if (complete.len)
            cli_error_more(MSG_OAUTH_CODE_PAGE, complete_text);
    } else {
        cli_error_more(MSG_OAUTH_PAGE, page_text);
        if (person->input_fd >= 0)
            cli_error_more(MSG_OAUTH_PASTE);
    }
    fflush(stderr);
    open_browser(code.len && complete.len ? complete_text : page_text);
}

static void write_page(enum message_id id, struct buf *out)
{
    buf_addf(out,
        "<!doctype html><html><head><meta charset=\"utf-8\"><title>Barid</title>"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<style>body{font:1.2em sans-serif;max-width:30em;margin:3em auto;padding:0 1em}</style>"
        "</head><body><p lang=\"ar\" dir=\"rtl\">%s</p><p lang=\"en\" "
        "dir=\"ltr\">%s</p></body></html>",
        tr_in(LANG_AR, id), tr_in(LANG_EN, id));
}

static const struct {
    enum message_id text;
    int exit_code;
} whys[OAUTH_WHYS] = {
    [OAUTH_NONE] = { MSG_OAUTH_REFUSED, EX_UNAVAILABLE },
    [OAUTH_UNREACHABLE] = { MSG_OAUTH_UNREACHABLE, EX_TEMPFAIL },
    [OAUTH_CERTIFICATE] = { MSG_OAUTH_CERTIFICATE, EX_UNAVAILABLE },
    [OAUTH_NONSENSE] = { MSG_OAUTH_NONSENSE, EX_PROTOCOL },
    [OAUTH_TOO_BIG] = { MSG_OAUTH_TOO_BIG, EX_PROTOCOL },
    [OAUTH_REDIRECTED] = { MSG_OAUTH_REDIRECTED, EX_PROTOCOL },
    [OAUTH_INSECURE] = { MSG_OAUTH_INSECURE, EX_UNAVAILABLE },
    [OAUTH_NO_METADATA] = { MSG_OAUTH_NO_METADATA, EX_UNAVAILABLE },
    [OAUTH_ISSUER] = { MSG_OAUTH_ISSUER, EX_NOPERM },
    [OAUTH_NO_CLIENT] = { MSG_OAUTH_NO_CLIENT, EX_CONFIG },
    [OAUTH_CLIENT] = { MSG_OAUTH_CLIENT, EX_CONFIG },
    [OAUTH_SCOPE] = { MSG_OAUTH_SCOPE, EX_CONFIG },
    [OAUTH_NO_WAY] = { MSG_OAUTH_NO_WAY, EX_UNAVAILABLE },
    [OAUTH_NO_PORT] = { MSG_OAUTH_NO_PORT, EX_OSERR },
    [OAUTH_DENIED] = { MSG_OAUTH_DENIED, EX_NOPERM },
    [OAUTH_EXPIRED] = { MSG_OAUTH_EXPIRED, EX_NOPERM },
    [OAUTH_FORGED] = { MSG_OAUTH_FORGED, EX_NOPERM },
    [OAUTH_GRANT] = { MSG_OAUTH_GRANT, EX_NOPERM },
    [OAUTH_TOKEN_TYPE] = { MSG_OAUTH_TOKEN_TYPE, EX_PROTOCOL },
    [OAUTH_REFUSED] = { MSG_OAUTH_REFUSED, EX_UNAVAILABLE },
};

static int say_failure(const struct client_account *account, const struct oauth_failure *failure)
{
    autofree char *details = cli_safe(slice_of(failure->note.text));
    cli_error(whys[failure->why].text,
        account->oauth_issuer ? account->oauth_issuer : account->oauth_token_url);
    if (details[0])
        cli_error_more(MSG_CLIENT_DETAIL, details);
    return whys[failure->why].exit_code;
}

int oauth_person_login(const struct client_account *account, bool browser)
{
    const struct rlimit no_core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &no_core); /* it would leave tokens on the disk */
    struct oauth_failure failure = { .why = OAUTH_NONE };
    struct buf done, failed;
    buf_init(&done, 0);
    buf_init(&failed, 0);
    write_page(MSG_OAUTH_PAGE_DONE, &done);
    write_page(MSG_OAUTH_PAGE_FAILED, &failed);
    struct oauth_person person = { .show = show,
        .page_done = buf_slice(&done),
        .page_failed = buf_slice(&failed),
        .input_fd = isatty(STDIN_FILENO) ? STDIN_FILENO : -1 };
    person.arg = &person;
    enum err e = client_oauth_login(account, &person, browser, &failure);
    buf_done(&done);
    buf_done(&failed);
    return e == ERR_OK ? EX_OK : say_failure(account, &failure);
}
