/* The guide says all that its texts hold, in each language, and what it says follows from the numbers. */
#include "bin/explain.h"

#include "base/test.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MB (1u << 20)

static struct config *config;
static struct user user;
static struct pop_policy policy;
static struct mailbox_facts facts;
static struct device devices[3];
static bool own[3];
static struct facts_folder folders[8];
static struct store_taken taken[2];
static struct explain_input input;
static struct buf said[2];

static struct facts_amount amount(uint64_t messages, uint64_t bytes, uint64_t unread)
{
    return (struct facts_amount){ messages, bytes, unread, unread ? bytes / 10 : 0 };
}

/* A mailbox that one device reads: 120 messages, 60 of them old, 8 unread, 10 MB of 100; POP3 is off. */
static int set_up(void **state)
{
    (void)state;
    assert_ok(config_load(NULL, &config, NULL));
    (void)snprintf(config->hostname, sizeof config->hostname, "mail.example.org");
    user = (struct user){ .address = "salma@example.org",
        .services = USER_IMAP | USER_SUBMISSION,
        .quota_bytes = 100 * MB };
    policy = (struct pop_policy){ 0 };
    memset(devices, 0, sizeof devices);
    memset(own, 0, sizeof own);
    devices[1].id = 1;
    devices[2].id = 2;
    (void)snprintf(devices[1].name, sizeof devices[1].name, "phone");
    (void)snprintf(devices[2].name, sizeof devices[2].name, "لوح");
    devices[1].uses[0].last_s = 1700000000;
    folders[0] = (struct facts_folder){ .name = SLICE("INBOX"), .messages = 120, .bytes = 10 * MB };
    folders[0].unread = 8;
    facts = (struct mailbox_facts){ .messages = 120,
        .bytes = 10 * MB,
        .days = 30,
        .folders = folders,
        .folder_count = 1,
        .taken = taken,
        .drops = { { 0 }, { 0 }, amount(120, 10 * MB, 8), amount(60, 6 * MB, 2) } };
    input = (struct explain_input){ .config = config,
        .user = &user,
        .policy = &policy,
        .facts = &facts,
        .devices = devices,
        .own_policy = own,
        .device_count = 3 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_unref(config);
    return 0;
}

/* The text of now, in the language; *_said grow. */
static const char *text_in(enum lang lang)
{
    static struct buf out;
    buf_done(&out);
    buf_init(&out, 0);
    explain_write(lang, &input, &out, &said[lang]);
    assert_true(utf8_valid(buf_slice(&out)));
    buf_addc(&out, '\0');
    return buf_slice(&out).ptr;
}

static void assert_says(const char *english, const char *arabic)
{
    if (!strstr(text_in(LANG_EN), english))
        fail_msg("\"%s\" is not in:\n%s", english, text_in(LANG_EN));
    if (!strstr(text_in(LANG_AR), arabic))
        fail_msg("\"%s\" is not in:\n%s", arabic, text_in(LANG_AR));
}

static bool is_said(enum lang lang, const char *section)
{
    struct buf out, names;
    bool found = false;
    struct slice rest, line;
    buf_init(&out, 0);
    buf_init(&names, 0);
    explain_write(lang, &input, &out, &names);
    for (rest = buf_slice(&names); slice_cut(&rest, '\n', &line);)
        found |= slice_eq(line, slice_of(section));
    buf_done(&names);
    buf_done(&out);
    return found;
}

static void assert_not_said(const char *section)
{
    if (is_said(LANG_EN, section))
        fail_msg("%s is said:\n%s", section, text_in(LANG_EN));
}

static void assert_said(const char *section)
{
    if (!is_said(LANG_EN, section))
        fail_msg("%s is not said:\n%s", section, text_in(LANG_EN));
    (void)text_in(LANG_EN);
    (void)text_in(LANG_AR);
}

static void pop_on(enum facts_drop from)
{
    user.services |= USER_POP3;
    facts.drops[FACTS_SHOWN] = facts.drops[from];
    facts.drops[FACTS_OLD] =
        from == FACTS_ALL ? facts.drops[FACTS_ALL_OLD] : (struct facts_amount){ 0 };
}

static void what_there_is(void **state)
{
    (void)state;
    assert_says("holds 120 messages, 10.0 MB in all", "120 رسالةً، والحجم كله 10.0 ميغابايت");
    assert_says("10% of that is used", "والمستعمل منه 10%");
    user.quota_messages = 120; /* full, whatever their size */
    assert_says("no more than 120 messages; 100% of that is used.\nWhen it is full",
        "والمستعمل من ذلك 100%.");
    assert_says("as 100% of its room is used", "لأن المستعمل من سعته 100%");
    user.quota_messages = 0;
    assert_says("Unread among them: 8.", "وغير المقروء منها 8.");
    assert_says(
        "Inbox: 120 messages, 8 of them unread, 10.0 MB", "وغير المقروء منها 8، والحجم 10.0");
    folders[0].unread = 0;
    assert_says("Nothing in it is unread", "وليس فيه شيء غير مقروء");
    for (size_t i = 1; i < 7; i++) {
        folders[i] = (struct facts_folder){
            .name = SLICE("شغل"), .use = (enum store_special_use)(i - 1), .messages = 2, .bytes = 10
        };
    }
    folders[7] = (struct facts_folder){ .name = SLICE("empty") };
    facts.folder_count = 8;
    facts.damaged = true;
    user.quota_messages = 102;
    assert_says("Trash: 2 messages, 10 bytes", "رسالتان، والحجم 10 بايت");
    assert_says("One more folder is empty.", "وفيه مجلد آخر فارغ.");
    assert_says("no more than 102 messages", "لأكثر من 102 رسالة");
    user.quota_bytes = 0;
    assert_says("no limit to its size", "لا حدّ لحجمه");
    facts = (struct mailbox_facts){ .days = 30 };
    assert_says("is empty", "فارغ");
    assert_says("nothing to download", "ليس فيه الآن ما يمكن تنزيله");
}

static void what_the_devices_do(void **state)
{
    (void)state;
    assert_says("one device logged in", "جهاز واحد");
    assert_says("suits it best: the mail stays", "فالأنسب IMAP: إذا ضاع الجهاز بقيت الرسائل");
    devices[2].uses[0].last_s = devices[2].uses[2].last_s = 1700000000;
    assert_says("2 devices logged in", "جهازان");
    assert_says("IMAP, sending", "IMAP، الإرسال");
    assert_says("used IMAP here: 2.", "استعملت IMAP هنا 2،");
    assert_says("read by 2 devices, so IMAP suits it best: everything",
        "جهازان، فالأنسب له IMAP، لأن كل شيء");
    facts.bytes = 95 * MB;
    assert_says("as 95% of its room is used", "لأن المستعمل من سعته 95%");
    assert_says("or to change the main password if the device used that",
        "أو أن تغيّر كلمة المرور الرئيسية");
    user.services &= ~(unsigned)USER_IMAP;
    assert_says("But IMAP is off", "لكن IMAP متوقف");
    pop_on(FACTS_ALL);
    policy.after = POP_AFTER_QUIT;
    assert_says("is safer: the other devices then miss nothing", "حتى لا يفوت الأجهزةَ الأخرى شيء");
    policy.after = POP_AFTER_KEEP;
    assert_not_said("advice.many-removes");
    policy.dele = POP_DELE_EXPUNGE; /* the programs erase it themselves */
    assert_says("is safer: the other devices then miss nothing", "حتى لا يفوت الأجهزةَ الأخرى شيء");
    memset(devices[1].uses, 0, sizeof devices[1].uses);
    memset(devices[2].uses, 0, sizeof devices[2].uses);
    assert_says("No device or program has logged in yet", "لم يدخل إليه أي جهاز");
    assert_says("best to begin with IMAP", "البدء بـ IMAP");
    devices[0].uses[2].last_s = 1; /* who only sends reads nothing */
    assert_says("best to begin with IMAP", "البدء بـ IMAP");
    assert_says("the main password: sending", "كلمة المرور الرئيسية");
}

static void what_each_choice_would_do(void **state)
{
    (void)state;
    assert_says("Switched on with window=all, POP3 would show 120 messages, 10.0 MB.",
        "لعرض 120 رسالةً، والحجم 10.0 ميغابايت");
    assert_says(
        "these values show everything and erase nothing, and what a program deletes stays in Trash",
        "لا يُمحى شيء، وما يحذفه البرنامج يبقى في المهملات");
    assert_says("120 messages would move to Trash", "تنتقل إلى المهملات 120 رسالةً");
    assert_says("120 messages would be erased from the server at once, which frees 10.0 MB.",
        "تُمحى من الخادم فورًا 120 رسالةً، ويتحرر 10.0 ميغابايت");
    assert_says("including 8 unread messages.",
        "ولا ترى الأجهزة الأخرى ما مُحي بعد ذلك، ومنه 8 رسائل غير مقروءة.");
    assert_says("find this mail in Trash only", "ما انتقل إلا في المهملات");
    assert_says("gone would be what is older: 60 messages, 6.0 MB.",
        "ويزول ما هو أقدم: 60 رسالةً، والحجم 6.0 ميغابايت");
    assert_says("that leaves 60 messages, 4.0 MB", "يبقى 60 رسالةً (والحجم 4.0 ميغابايت)");

    policy.unread_stays = true; /* 8 stay with 1 MB, 2 of them old with 0.6 MB */
    assert_says("112 messages would be erased from the server at once, which frees 9.0 MB.",
        "112 رسالةً، ويتحرر 9.0 ميغابايت");
    assert_says("what is older: 58 messages, 5.4 MB.", "58 رسالةً، والحجم 5.4 ميغابايت");
    facts.drops[FACTS_ALL] = (struct facts_amount){ 3, 300, 3, 300 };
    facts.drops[FACTS_ALL_OLD] = (struct facts_amount){ 0 };
    assert_says("nothing goes", "لا يزول شيء");
    assert_says("so nothing goes at once", "فلا يزول شيء فورًا");
    assert_says(
        "None of this mail is older than that now", "ولا شيء من هذه الرسائل أقدم من ذلك الآن");
    facts.drops[FACTS_DUE] = (struct facts_amount){ 3, 300, 1, 100 };
    assert_says(
        "still here: 2 messages. This mail would be erased within the hour, which frees 200 bytes",
        "ولا تزال هنا رسالتان. ستُمحى خلال ساعة، ويتحرر 200 بايت");

    policy.unread_stays = false;
    pop_on(FACTS_ALL);
    facts.drops[FACTS_SHOWN] = amount(2, 2 * MB, 0);
    assert_says("If a program downloaded all that is shown now", "لو نزّل برنامج كل ما يُعرض الآن");
    assert_says("2 messages would be erased", "تُمحى من الخادم فورًا رسالتان");
    assert_says("With window=all it would show 3 messages, 300 bytes", "لعرض 3 رسائل");
}

static void what_the_policy_says(void **state)
{
    (void)state;
    pop_on(FACTS_ALL_OLD);
    assert_says("It now shows a program 60 messages, 6.0 MB.", "على البرنامج 60 رسالةً");
    for (int dele = POP_DELE_TRASH; dele <= POP_DELE_ARCHIVE; dele++) {
        static const char *const words[] = { "dele=trash)", "dele=expunge)", "dele=hide)",
            "dele=archive)" };
        policy.dele = (unsigned)dele;
        assert_says(words[dele], words[dele]);
    }
    assert_says("stays here (after=keep)", "يبقى هنا (after=keep)");
    assert_says("It shows the inbox alone.", "صندوق الوارد وحده");
    policy.after = POP_AFTER_QUIT;
    policy.unread_stays = policy.with_sent = true;
    policy.folders = POP_FOLDERS_ALL;
    policy.since_ms = 1700000000000;
    policy.newest = 11;
    assert_says("as if it had deleted it (after=quit)", "(after=quit)");
    assert_says("left out of that (unread=stays)", "unread=stays)");
    assert_says("It shows only what came since", "إلا ما وصل منذ");
    assert_says("no more than 11 messages", "أكثر من 11 رسالةً");
    policy.after = POP_AFTER_DAYS;
    policy.after_days = 2;
    policy.window = POP_WINDOW_DAYS;
    policy.window_days = 7;
    policy.folders = POP_FOLDERS_LIST;
    (void)snprintf(policy.names, sizeof policy.names, "Work,شغل");
    own[1] = true;
    assert_not_said("pop.list-device");
    assert_not_said("pop.read-quit");
    assert_not_said("pop.lock");
    policy.list_per_device = policy.mark_read = policy.exclusive = true;
    assert_says("what it has not taken yet (list=device)", "إلا ما لم يأخذه بعد (list=device)");
    assert_says("marked as read here (read=quit)", "(read=quit)");
    assert_says("(lock=exclusive)", "(lock=exclusive)");
    assert_says("2 days later", "بعد يومين");
    assert_says("what came at most 7 days ago", "ما لم يمضِ على وصوله أكثر من 7 أيام");
    assert_says("Work,شغل", "Work,شغل");
    assert_says("The device phone has POP3 settings of its own", "إعدادات POP3 خاصة به");
    facts.drops[FACTS_SHOWN] = (struct facts_amount){ 0 };
    assert_says("shows a program nothing", "أي رسالة");
}

static void what_was_taken(void **state)
{
    (void)state;
    pop_on(FACTS_ALL);
    memset(devices[1].uses, 0, sizeof devices[1].uses);
    devices[0].uses[1] = (struct device_use){ .last_s = 1700000000, .retrieved = 50 };
    taken[0] = (struct store_taken){ .device = 0, .messages = 50 };
    taken[1] = (struct store_taken){ .device = 99, .messages = 3 };
    facts.taken_count = 2;
    assert_says("the main password: 50 messages; all of it is still here",
        "50 رسالةً، ولم يُزَل من هنا شيء منها");
    assert_says("an app password that was revoked: still here of what it took: 3 messages",
        "الباقي هنا مما نزّله 3 رسائل");
    assert_not_said("taken.note");
    taken[0].messages = 20; /* 30 are gone, or were downloaded again */
    assert_says("the main password: 50 downloads. Of the messages that it took, still here: 20.",
        "عدد مرات التنزيل 50، والباقي هنا مما نزّله 20.");
    assert_says("downloads a message again is counted again", "محسوبة مرتين");
    taken[0].messages = 60; /* the count was lost with a server that was killed */
    assert_says("the main password: still here of what it took: 60 messages", "مما نزّله 60 رسالةً");
}

/* One app password that took all by POP3. */
static void one_computer(void)
{
    pop_on(FACTS_ALL);
    devices[1].uses[0].last_s = 0;
    devices[1].uses[1] = (struct device_use){ .last_s = 1700000000, .retrieved = 50 };
}

static void what_one_computer_should_do(void **state)
{
    (void)state;
    static const char *const kept[] = { "advice.one-pop-trash", "advice.one-pop-removes",
        "advice.one-pop", "advice.one-pop-archive" };
    static const char *const gone[] = { "advice.one-pop-removes", "advice.one-pop-removes",
        "advice.one-pop", "advice.one-pop-archive" };
    one_computer();
    for (unsigned dele = POP_DELE_TRASH; dele <= POP_DELE_ARCHIVE; dele++) {
        policy.dele = dele;
        policy.after = POP_AFTER_KEEP;
        assert_said(kept[dele]);
        policy.after = POP_AFTER_QUIT;
        assert_said(gone[dele]);
    }
    policy.dele = POP_DELE_TRASH;
    assert_says("safer to back up that computer", "فالأسلم أن تُحفظ نسخة احتياطية");
    facts.bytes = 96 * MB;
    assert_says("so POP3 with after=30 and dele=expunge suits it best: in the long run 6.0 MB",
        "POP3 مع after=30 وdele=expunge، مع نسخة احتياطية من الحاسوب الذي ينزّلها: مع الوقت يتحرر "
        "بذلك 6.0");
    assert_says("96% of that is used.\nWhen it is full", "إذا امتلأ");
    facts.drops[FACTS_OLD] = (struct facts_amount){ 5, 500, 5, 500 };
    policy.unread_stays = true; /* all that is old */
    assert_said("advice.many-full");
    policy.unread_stays = false;
    facts.drops[FACTS_SHOWN] = facts.drops[FACTS_OLD] = (struct facts_amount){ 0 };
    assert_says("POP3 does not show the old mail, so it takes none of it; window=all would show it",
        "لا يعرض الرسائل القديمة");
    facts.drops[FACTS_ALL_OLD] = (struct facts_amount){ 0 };
    assert_says("newer than 30 days", "أحدث من 30 يومًا");
}

/* Its programs cannot be told apart, so none of them may take the mail from the others. */
static void what_the_main_password_should_do(void **state)
{
    (void)state;
    memset(devices[1].uses, 0, sizeof devices[1].uses);
    devices[0].uses[0].last_s = 1700000000;
    assert_says("IMAP, or POP3 with after=keep and dele=trash", "أبرنامج واحد يستعملها أم أكثر");
    assert_not_said("advice.one");
    facts.bytes = 96 * MB;
    for (int by_pop = 0; by_pop <= 1; by_pop++) {
        assert_says("give each program its own password first", "كلمة مرور خاصة به أولًا");
        assert_not_said("advice.one-full");
        pop_on(FACTS_ALL);
        devices[0].uses[1].last_s = 1700000000;
    }
    policy.after = POP_AFTER_DAYS;
    policy.after_days = 2;
    assert_says("no other program then misses anything", "حتى لا يفوت البرامجَ الأخرى شيء");
    devices[1].uses[1].last_s = 1700000000;
    assert_said("advice.many-removes");
}

static void what_to_type(void **state)
{
    (void)state;
    pop_on(FACTS_ALL);
    (void)snprintf(user.address, sizeof user.address, "س+x@example.org");
    assert_says("    IMAP  mail.example.org  993    SSL/TLS\n",
        "    IMAP  mail.example.org  993    SSL/TLS\n");
    assert_says("What for, server", "الخدمة، ثم الخادم");
    assert_says("    SMTP  mail.example.org  465    SSL/TLS\n", "465    SSL/TLS\n");
    assert_says("made its certificate itself", "صنع الخادم شهادته بنفسه");
    for (size_t i = 0; explain_programs[i]; i++) {
        input.program = explain_programs[i];
        assert_says("mail.example.org", "mail.example.org");
        assert_says("993", "995");
        assert_says("465", "465");
    }
    assert_says(
        "smtps://%D8%B3%2Bx%40example.org@mail.example.org:465/", "imaps://mail.example.org:993/");
    input.program = NULL;
    (void)snprintf(config->cert_file, sizeof config->cert_file, "/x");
    assert_null(strstr(text_in(LANG_EN), "made its certificate"));
    static const char *const listens[] = { "127.0.0.1:1143, *:2143", "off", "127.0.0.1:1110",
        "[::1]:1995", "*:25", "off", "off", "off" };
    for (size_t i = 0; i < LISTEN_KEYS; i++)
        (void)snprintf(config->listen_text[i], sizeof config->listen_text[i], "%s", listens[i]);
    assert_ok(config_parse_listeners(config, NULL));
    assert_says("    IMAP  mail.example.org  2143   STARTTLS\n", "2143   STARTTLS\n");
    assert_says("POP3 can be reached from the server's own machine only.",
        "لا يمكن الوصول إلى POP3 إلا من جهاز الخادم نفسه");
    assert_says("    POP3  mail.example.org  1995   SSL/TLS\n", "1995   SSL/TLS\n");
    assert_says("The server offers no SMTP (sending).", "الخادم لا يقدّم SMTP (الإرسال)");
    user.services = USER_IMAP;
    assert_says("POP3 is off for this user.", "خدمة POP3 متوقفة لهذا المستخدم");
    input.program = "mutt";
    assert_says("imap://mail.example.org:2143/", "imap://mail.example.org:2143/");
    assert_null(strstr(text_in(LANG_EN), "pop_host"));
}

/* ---- the texts ---- */

static void every_placeholder_resolves(void **state)
{
    (void)state;
    for (int lang = LANG_EN; lang <= LANG_AR; lang++) {
        size_t cursor = 0;
        struct slice section, text, name, noun;
        while (guide_next((enum lang)lang, &cursor, &section, &text)) {
            if (slice_starts(section, SLICE("noun ")))
                continue;
            bool number;
            while (guide_placeholder(&text, &name, &noun)) {
                char noun_section[64];
                struct slice forms;
                if (!explain_knows(name, &number) || (noun.len > 0 && !number))
                    fail_msg("%.*s: {%.*s}", SLICE_FMT(section), SLICE_FMT(name));
                (void)snprintf(noun_section, sizeof noun_section, "noun %.*s", SLICE_FMT(noun));
                if (noun.len > 0 && guide_section((enum lang)lang, slice_of(noun_section), &forms))
                    fail_msg("%.*s: {:%.*s}", SLICE_FMT(section), SLICE_FMT(noun));
            }
            if (slice_index(text, '{') < text.len)
                fail_msg("%.*s: a brace is left", SLICE_FMT(section));
        }
    }
    bool number;
    assert_false(explain_knows(SLICE("nothing"), &number));
}

static bool is_used_noun(enum lang lang, struct slice section)
{
    size_t cursor = 0;
    struct slice at, text, name, noun;
    while (guide_next(lang, &cursor, &at, &text))
        while (!slice_starts(at, SLICE("noun ")) && guide_placeholder(&text, &name, &noun))
            if (slice_eq(noun, slice_from_index(section, 5)))
                return true;
    return false;
}

/* Runs last: the tests before it have said everything. */
static void no_section_is_unused(void **state)
{
    (void)state;
    for (int lang = LANG_EN; lang <= LANG_AR; lang++) {
        size_t cursor = 0;
        struct slice section, text;
        while (guide_next((enum lang)lang, &cursor, &section, &text)) {
            bool used = slice_starts(section, SLICE("noun "))
                            ? is_used_noun((enum lang)lang, section)
                            : false;
            struct slice lines = buf_slice(&said[lang]), line;
            while (!used && slice_cut(&lines, '\n', &line))
                used = slice_eq(line, section);
            if (!used)
                fail_msg("%.*s is never said", SLICE_FMT(section));
        }
        buf_done(&said[lang]);
    }
}

#define WITH_MAILBOX(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(WITH_MAILBOX(what_there_is), WITH_MAILBOX(what_the_devices_do),
    WITH_MAILBOX(what_each_choice_would_do), WITH_MAILBOX(what_the_policy_says),
    WITH_MAILBOX(what_was_taken), WITH_MAILBOX(what_one_computer_should_do),
    WITH_MAILBOX(what_the_main_password_should_do), WITH_MAILBOX(what_to_type),
    cmocka_unit_test(every_placeholder_resolves), cmocka_unit_test(no_section_is_unused))
