# shellcheck shell=bash
# What the journal tells under a real journald, and what it never does; sourced by tests/systemd/run,
# whose functions and variables these use.

# What the journal holds of the recorder, by any of its fields: journal FIELD=VALUE...
journal() {
    inside journalctl --quiet --no-pager -u fieldtape -o cat "$@"
}

# The journal's entries as JSON, through a program that reads them line by line.
journal_json() {
    local program=$1
    shift
    inside journalctl --quiet --no-pager -u fieldtape -o json "$@" | inside python3 -c "
import json, sys
entries = [json.loads(line) for line in sys.stdin]
$program"
}

# Posts a form as Twilio signs it: post PATH NAME=VALUE...
post() {
    inside python3 - "$secret" "$@" <<'PYTHON'
import base64, hashlib, hmac, sys, urllib.parse, urllib.request
token, path, *fields = sys.argv[1:]
form = dict(field.split("=", 1) for field in fields)
signed = "https://calls.example.org" + path + "".join(name + form[name] for name in sorted(form))
signature = base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()
request = urllib.request.Request("http://127.0.0.1:8081" + path, urllib.parse.urlencode(form).encode(),
                                 {"X-Twilio-Signature": signature})
print(urllib.request.urlopen(request, timeout=20).read().decode())
PYTHON
}

# The story of $called: every chapter in order, and every line bears the call.
test_journal_tells_a_call() {
    local story
    story=$(journal_json '
events = [entry["EVENT"] for entry in entries if "EVENT" in entry]
chapters = ["call.started", "stream.started", "recording.started", "call.ended", "recording.completed",
            "transcript.completed"]
places = [events.index(chapter) for chapter in chapters]
assert places == sorted(places), (places, events)
times = [int(entry["__MONOTONIC_TIMESTAMP"]) for entry in entries]
assert times == sorted(times)
for entry in entries:
    assert entry["SYSLOG_IDENTIFIER"] == "fieldtape", entry
    # Each reads well alone: a sentence with the call in it, or one that needs none.
    assert len(entry["MESSAGE"].split()) > 2, entry
print(len(entries))' "CALL_SID=$called") || fail "the call's story: $(journal "CALL_SID=$called")"
    ok "a call is told from webhook to transcript, in order, in $story lines"
}

# What each field finds: only that, and something.
test_journal_is_searched_by_field() {
    local recording
    recording=RE$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    post /twilio/recording-status "AccountSid=AC$(printf '%032d' 0)" "CallSid=$called" \
        "RecordingSid=$recording" RecordingStatus=absent ErrorCode=0 >/dev/null
    within 10 journal_has "RECORDING_SID=$recording" -p err || fail "an error is not found by -p err"
    journal_json "
assert len(entries) == 1 and entries[0]['CALL_SID'] == '$called', entries
assert entries[0]['EVENT'] == 'cloud.absent' and entries[0]['PRIORITY'] == '3', entries" \
        "RECORDING_SID=$recording" || fail "what RECORDING_SID finds"
    journal_json '
assert entries and all(int(entry["PRIORITY"]) <= 3 for entry in entries), entries' -p err ||
        fail "what -p err finds"
    for match in EVENT=call.started EVENT=recording.completed EVENT=transcript.completed \
        STAGE=transcript PARTY=agent; do
        journal_json "
name, value = '$match'.split('=')
assert entries and all(entry[name] == value for entry in entries), entries" "$match" ||
            fail "what $match finds"
    done
    journal_json '
assert entries and all(int(entry["DURATION_MS"]) >= 0 for entry in entries), entries' \
        EVENT=transcript.completed || fail "DURATION_MS of a transcript"
    ok "CALL_SID, RECORDING_SID, EVENT, STAGE, PARTY and -p err find what they should"
}

# A call whose transcript has no model to be made with: that is told under STAGE=transcript too.
test_journal_tells_what_a_transcript_waits_for() {
    local process
    inside mv /usr/share/fieldtape/models /usr/share/fieldtape/away
    for process in $(speech_processes); do kill -9 "$process" 2>/dev/null || true; done
    recorder simulate /srv/service-call.wav --speed 50 >"$STAGE/call" 2>&1 || fail "$(cat "$STAGE/call")"
    within 60 journal_has STAGE=transcript -p warning || fail "it is not told that the model is gone"
    inside mv /usr/share/fieldtape/away /usr/share/fieldtape/models
    ok "what a transcript waits for is told: $(journal STAGE=transcript -p warning | head -n 1 | cut -c 1-100)"
}

journal_has() {
    journal "$@" | grep -q .
}

# Every command of the README's section is run as it stands there, and finds something here.
test_journal_as_the_readme_reads_it() {
    local command count=0
    sed -n '/^## Reading the journal/,/^## [^R]/p' README.md | grep -o '^journalctl [^#]*' >"$STAGE/commands"
    while read -r command; do
        command=${command//CA…/$called}
        inside bash -c "$command --no-pager" </dev/null >"$STAGE/found" 2>&1 ||
            fail "the README's \"$command\": $(cat "$STAGE/found")"
        grep -qv '^-- ' "$STAGE/found" || fail "the README's \"$command\" finds nothing"
        count=$((count + 1))
    done <"$STAGE/commands"
    [ $count -ge 8 ] || fail "the README has $count commands"
    ok "the $count commands of the README find something each"
}

# A thousand strangers at Twilio's door cost the journal some lines; an error among them is there.
test_journal_is_not_flooded() {
    local lines
    inside bash -c '
        for _ in $(seq 10); do
            yes "http://127.0.0.1:8081/twilio/voice" | head -n 100 | sed "s/^/url = /" |
                curl -s -m 60 -o /dev/null -d x=1 --config -
        done'
    lines=$(journal EVENT=webhook.refused --since -60s | wc -l)
    [ "$lines" -gt 0 ] && [ "$lines" -le 100 ] || fail "1000 refused webhooks are $lines lines"
    journal EVENT=webhook.refused | grep -q "more lines like this are only counted" ||
        fail "that lines are left out is not told"
    ok "1000 refused webhooks are $lines lines, and the last one says so"
}

# Nothing in the whole journal, of any unit and in any field, that nobody else may read; and the same
# of a bundle for a helper. What was said is looked for three words at a time.
test_nothing_leaks() {
    local bundle=/run/bundle.tar.gz
    inside rm -f $bundle
    inside fieldtape support-bundle $bundle >"$STAGE/bundle.said" 2>&1 || fail "$(cat "$STAGE/bundle.said")"
    inside journalctl -o export --no-pager --all >"$STAGE/journal"
    inside cat $bundle | tar -xzO >"$STAGE/bundle" || fail "the bundle cannot be unpacked"
    inside tar -tzf $bundle | grep -qi '\.wav' && fail "the bundle has sound"
    {
        printf '%s\n' "$secret" 15550142 15550100 15550199
        [ -z "${called:-}" ] || recorder calls show "$called" --json >/dev/null
        [ -z "${called:-}" ] || inside curl -s "http://127.0.0.1:8080/api/v1/calls/$called/transcript" |
            inside python3 -c '
import json, sys
for segment in json.load(sys.stdin)["segments"]:
    words = segment["text"].split()
    for at in range(len(words) - 2):
        print(" ".join(words[at : at + 3]))'
    } >"$STAGE/canaries"
    for text in journal bundle; do
        ! grep -qaiF -f "$STAGE/canaries" "$STAGE/$text" ||
            fail "the $text holds \"$(grep -aioF -m 1 -f "$STAGE/canaries" "$STAGE/$text" | head -n 1)\""
    done
    # A search that finds nothing must be one that would have found something.
    head -n 1 "$STAGE/canaries" | grep -qaiF -f "$STAGE/canaries" || fail "the search is none"
    for told in NRestarts= '"MESSAGE"' '"checks"' 'CREATE TABLE calls' MemTotal; do
        grep -qaF -- "$told" "$STAGE/bundle" || fail "the bundle does not tell $told"
    done
    ok "no secret, no whole number, no word spoken in the journal or a bundle ($(wc -l <"$STAGE/canaries") canaries)"
}

# Doctor, as root calls it on an installed box: the unit's secrets and its speech process are found.
test_doctor() {
    inside fieldtape doctor --json >"$STAGE/doctor" 2>"$STAGE/doctor.said" || true
    inside python3 -c '
import json, sys
seen = {check["name"]: check for check in json.load(sys.stdin)["checks"]}
for name, state, part in [
    ("configuration", "ok", "/etc/fieldtape/config.toml"),
    ("daemon", "ok", "is running"),
    ("account", "ok", "are set"),
    ("credentials", "ok", "/run/credentials/fieldtape.service"),
    ("disk", "ok", "takes recordings"),
    ("ledger", "ok", "takes changes"),
    ("integrity", "ok", "whole"),
    ("journal", "ok", "journald takes lines"),
    ("model", "ok", "and whole"),
    ("speech", "ok", "it answers"),
    ("twilio", "warn", "cannot be reached"),
    # Here the network is away and the address is an example.
    ("public_url", "fail", "a name for examples"),
    ("link", "warn", "cannot be reached"),
]:
    check = seen[name]
    assert (check["state"], part in check["detail"]) == (state, True), check
failed = [name for name, check in seen.items() if check["state"] == "fail"]
assert set(failed) <= {"public_url", "speed"}, failed' <"$STAGE/doctor" ||
        fail "doctor: $(cat "$STAGE/doctor" "$STAGE/doctor.said")"
    ok "doctor finds the unit's secrets, its speech process, and what is wrong"
}
