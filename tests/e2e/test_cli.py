# SPDX-License-Identifier: MIT
"""The command line as a user meets it: exit statuses, words, formats."""
import json
import re
import signal
import subprocess

import pytest

from harness import ports, tools

GOOD = "listen: 8080\nservers: [10.0.0.1:80, 10.0.0.2:80]\n"
BAD = "listen: 8080\nbalance: least-con\nservers: [10.0.0.1:80]\n"
COMMANDS = ["run", "check", "explain", "init", "schema", "diff", "healthcheck", "version", "completion"]
CTL = ["status", "show", "server", "backend", "sessions", "events", "reload", "worker", "log"]


def write(path, text):
    path.write_text(text)
    return path


# ---- help and mistakes ---------------------------------------------------------------------------

def test_help_names_every_command(run_evlb):
    for flag in ("-h", "--help"):
        r = run_evlb(flag)
        assert r.status == 0 and r.err == ""
        for command in COMMANDS:
            assert f"  {command} " in r.out
    for command in CTL:
        assert f"  ctl {command} " in r.out  # --help
    assert len(run_evlb("-h").out.splitlines()) <= 24


def test_each_command_has_help(run_evlb):
    for command in COMMANDS + [f"ctl {word}" for word in CTL]:
        r = run_evlb(*command.split(), "--help")
        assert r.status == 0, command
        assert f"usage: evlb {command}" in r.out
        assert max(len(line) for line in r.out.splitlines()) <= 80, command


def test_no_command_is_a_usage_error(run_evlb):
    r = run_evlb()
    assert r.status == 2 and r.out == "" and "usage:" in r.err


def test_mistyped_command_is_recognised(run_evlb):
    r = run_evlb("chekc")
    assert r.status == 2
    assert r.err == "evlb: unknown command 'chekc'; did you mean 'check'?\n"


def test_mistyped_flag_is_recognised(run_evlb):
    r = run_evlb("check", "--fromat=json")
    assert r.status == 2
    assert r.err == "evlb: unknown flag '--fromat'; did you mean '--format'?\n"


@pytest.mark.parametrize("command", ["top"])
def test_planned_command_says_so(run_evlb, command):
    r = run_evlb(*command.split())
    assert r.status == 2 and "planned, not in this version yet" in r.err


def test_full_output_device_is_an_error(tmp_path):
    with open("/dev/full", "w") as full:
        r = subprocess.run([tools.bin_dir() / "evlb", "schema"], stdout=full,
                           stderr=subprocess.PIPE, text=True, env=tools.environment(tmp_path))
    assert r.returncode == 1 and "cannot write" in r.stderr


# ---- check ---------------------------------------------------------------------------------------

def test_check_accepts_a_good_file(run_evlb, tmp_path):
    write(tmp_path / "good.yaml", GOOD)
    r = run_evlb("check", "-c", "good.yaml")
    assert r.status == 0, r
    assert "good.yaml: valid: 1 frontend, 1 backend, 2 servers\n" in r.out


def test_check_refuses_a_bad_file(run_evlb, tmp_path):
    write(tmp_path / "bad.yaml", BAD)
    r = run_evlb("check", "-c", "bad.yaml")
    assert r.status == 1
    assert "bad.yaml:2:10: error: " in r.out and "did you mean 'least-conn'?" in r.out


def test_check_reads_standard_input(run_evlb):
    assert run_evlb("check", "-c", "-", stdin=GOOD).status == 0
    assert run_evlb("check", "-c", "-", stdin=BAD).status == 1


def test_check_of_a_missing_file(run_evlb):
    r = run_evlb("check", "-c", "nowhere.yaml")
    assert r.status == 2 and "nowhere.yaml" in r.out + r.err


def test_check_takes_the_path_from_the_environment(run_evlb, tmp_path):
    path = write(tmp_path / "env.yaml", BAD)
    assert run_evlb("check", env={"EVLB_CONFIG": path}).status == 1


def test_check_formats(run_evlb, tmp_path):
    write(tmp_path / "bad.yaml", BAD)
    gcc = run_evlb("check", "-c", "bad.yaml", "--format=gcc")
    assert gcc.status == 1 and re.match(r"bad\.yaml:2:10: error: .*\[config\.", gcc.out)
    as_json = run_evlb("check", "-c", "bad.yaml", "--format=json")
    assert as_json.status == 1
    assert "least-con" in json.dumps(json.loads(as_json.out))
    github = run_evlb("check", "-c", "bad.yaml", "--format", "github")
    assert github.status == 1 and github.out.startswith("::error file=bad.yaml,line=2")


def test_check_quiet_leaves_only_the_status(run_evlb, tmp_path):
    write(tmp_path / "bad.yaml", BAD)
    r = run_evlb("check", "-q", "-c", "bad.yaml")
    assert r.status == 1 and r.out == "" and r.err == ""


def test_check_strict_fails_on_warnings(run_evlb, tmp_path):
    write(tmp_path / "twice.yaml",
          "listen: 8080\nservers: {a: 10.0.0.1:80, b: 10.0.0.1:80}\n")  # the same address
    relaxed = run_evlb("check", "-c", "twice.yaml")
    assert relaxed.status == 0 and "warning:" in relaxed.out
    assert run_evlb("check", "-c", "twice.yaml", "--strict").status == 3


def test_check_warns_of_what_this_machine_lacks(run_evlb, tmp_path):
    here = f"user: root\nlog: {{access: {tmp_path}/access.log}}\n"
    write(tmp_path / "here.yaml", GOOD + here)
    assert run_evlb("check", "-c", "here.yaml", "--strict").status == 0
    write(tmp_path / "elsewhere.yaml",
          GOOD + "user: no-such-user\ngroup: no-such-group\n"
          "log: {access: /no/such/directory/access.log}\n")
    r = run_evlb("check", "-c", "elsewhere.yaml")
    assert r.status == 0
    for what in ("user 'no-such-user'", "group 'no-such-group'", "directory '/no/such/directory/'"):
        assert f"this machine has no {what}" in " ".join(r.out.split())


def test_check_counts_a_name_with_several_addresses_once(run_evlb, tmp_path):
    write(tmp_path / "names.yaml", "listen: 8080\nresolve: all\nservers: [a.internal:80]\n")
    assert "1 backend, 1 server\n" in run_evlb("check", "-c", "names.yaml").out


# ---- explain -------------------------------------------------------------------------------------

def test_explain_shows_defaults_and_origins(run_evlb, tmp_path):
    write(tmp_path / "good.yaml", GOOD)
    r = run_evlb("explain", "-c", "good.yaml")
    assert r.status == 0
    assert re.search(r"balance: round-robin +# default", r.out)
    assert "# good.yaml:2" in r.out


def test_explained_configuration_is_valid_and_the_same(run_evlb, tmp_path):
    write(tmp_path / "good.yaml", GOOD)
    first = run_evlb("explain", "-c", "good.yaml").out
    assert run_evlb("check", "-c", "-", stdin=first).status == 0
    strip = lambda text: [re.sub(r"\s*#.*", "", line) for line in text.splitlines()]
    assert strip(run_evlb("explain", "-c", "-", stdin=first).out) == strip(first)


def test_explain_key(run_evlb):
    r = run_evlb("explain", "balance")
    assert r.status == 0 and "round-robin" in r.out and "least-conn" in r.out
    assert max(len(line) for line in run_evlb("explain", "failback").out.splitlines()) <= 80
    unknown = run_evlb("explain", "blance")
    assert unknown.status == 1 and "balance" in unknown.out + unknown.err


def test_explain_end_letters(run_evlb):
    r = run_evlb("explain", "sH")
    assert r.status == 0 and "server-timeout-wait" in r.out and "timeout.server" in r.out
    several = run_evlb("explain", "PR")  # more than one cause has these letters
    assert "denied:" in several.out and "bad-request:" in several.out
    as_json = json.loads(run_evlb("explain", "sH", "--format=json").out)
    assert as_json["causes"][0]["status"] == 504


ROUTES = """
frontends:
  web:
    listen: 127.0.0.1:8080
    routes:
      - {host: shop.example.com, path: /api/, backend: api}
      - {path: /old/, redirect: "https://new.example.com/"}
      - {path: /private/, deny: 403}
      - {host: "*.example.com", backend: app}
  db: {listen: 127.0.0.1:3306, mode: tcp, backend: db}
backends:
  api: [10.0.0.1:80, 10.0.0.2:80]
  app: {balance: least-conn, servers: {x: 10.0.0.3:80}}
  db: [10.0.0.4:3306]
"""


@pytest.fixture
def explain_route(run_evlb, tmp_path):
    write(tmp_path / "routes.yaml", ROUTES)

    def explain(*args):
        r = run_evlb("explain", "route", *args, "-c", "routes.yaml", "--format=json")
        assert r.status == 0, r
        return json.loads(r.out)
    return explain


def test_explain_route_finds_the_backend(explain_route):
    found = explain_route("http://shop.example.com:8080/api/x?y=1")
    assert (found["frontend"], found["route"], found["backend"]) == ("web", 1, "api")
    assert [s["host"] for s in found["servers"]] == ["10.0.0.1", "10.0.0.2"]


def test_explain_route_sees_what_the_data_path_sees(explain_route):
    assert explain_route("http://SHOP.example.com:8080/x/../%61pi/y")["backend"] == "api"
    assert explain_route("http://shop.example.com:8080/apix")["backend"] == "app"
    assert explain_route("http://a:8080/api/", "-H", "Host: shop.example.com")["backend"] == "api"


def test_explain_route_of_paths_that_servers_read_differently(run_evlb):
    text = "listen: 80\nservers: [10.0.0.1:80]\n"
    def say(text, path):
        return run_evlb("explain", "route", f"http://a{path}", "-c", "-", stdin=text)
    assert "path      /x/..;/y\n" in say(text, "/x/..;/y").out  # passed on as it comes
    looks = text + "routes: {path: /admin, deny: 403}\n"
    r = say(looks, "/x/..;/y")
    assert r.status == 1 and "answer 400" in r.err
    assert "403: denied" in say(looks, "/admin;x").out


def test_explain_route_redirect_deny_and_nothing(explain_route):
    moved = explain_route("http://a.example.com:8080/old/x?q")
    assert moved["action"] == "redirect"
    assert moved["location"] == "https://new.example.com/x?q"
    denied = explain_route("http://a.example.com:8080/private/x")
    assert (denied["action"], denied["status"]) == ("deny", 403)
    assert explain_route("http://other.test:8080/")["route"] is None


def test_explain_route_of_mode_tcp(explain_route):
    assert explain_route("tcp://db:3306")["backend"] == "db"


def test_explain_route_as_text(run_evlb, tmp_path):
    write(tmp_path / "routes.yaml", ROUTES)
    r = run_evlb("explain", "route", "http://b.example.com:8080/", "-c", "routes.yaml")
    assert r.status == 0
    assert re.search(r"^route +4 of 4 \(routes\.yaml:\d+\): host \*\.example\.com$", r.out, re.M)
    assert re.search(r"^servers +x 10\.0\.0\.3:80, weight 1$", r.out, re.M)


def test_explain_route_needs_a_frontend(run_evlb, tmp_path):
    write(tmp_path / "routes.yaml", ROUTES)
    r = run_evlb("explain", "route", "http://a:9999/", "-c", "routes.yaml")
    assert r.status == 1 and "no frontend listens on port 9999" in r.err and "web" in r.err


# ---- documents -----------------------------------------------------------------------------------

def test_schema_is_json(run_evlb):
    schema = json.loads(run_evlb("schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/") and "root" in schema["$defs"]


def test_reference_in_the_tree_is_current(run_evlb):
    r = run_evlb("reference")
    assert r.status == 0
    assert r.out == (tools.ROOT / "docs" / "configuration.md").read_text(), \
        "run: evlb reference > docs/configuration.md"


def test_init_writes_a_valid_file_once(run_evlb, tmp_path):
    assert run_evlb("init").status == 0
    assert run_evlb("check", "-c", "evlb.yaml").status == 0
    (tmp_path / "evlb.yaml").write_text("mine")
    again = run_evlb("init")
    assert again.status == 1 and "left as it is" in again.err
    assert (tmp_path / "evlb.yaml").read_text() == "mine"
    assert run_evlb("check", "-c", "-", stdin=run_evlb("init", "-").out).status == 0


def test_version(run_evlb):
    r = run_evlb("version")
    assert r.status == 0 and re.match(r"evlb \d+\.\d+\.\d+\n", r.out) and "libev " in r.out
    as_json = json.loads(run_evlb("version", "--json").out)
    assert f"evlb {as_json['version']}\n" == run_evlb("--version").out
    assert set(as_json["libraries"]) == {"libev", "libyaml"}


def test_bash_completion_completes(run_evlb, tmp_path):
    script = write(tmp_path / "completion.bash", run_evlb("completion", "bash").out)
    ask = f"""
        source {script}
        complete_line() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _evlb; echo "${{COMPREPLY[*]}}"; }}
        complete_line evlb ex
        complete_line evlb check --str
        complete_line evlb check --format j
        complete_line evlb ctl st
        complete_line evlb ctl server dr
        complete_line evlb ctl server drain app/a --rea
        complete_line evlb ctl show --format na
        complete_line evlb explain backends.*.bal
    """
    r = tools.run(["bash", "-c", ask])
    assert r.err == ""
    assert r.out.splitlines() == [
        "explain", "--strict", "json", "status", "drain", "--reason", "names", "backends.*.balance"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_completions_name_the_commands(run_evlb, shell):
    r = run_evlb("completion", shell)
    assert r.status == 0
    for command in ("run", "check", "explain"):
        assert command in r.out


# ---- run and ctl ---------------------------------------------------------------------------------

def test_run_without_a_file(sim, evlb, run_evlb, tmp_path):
    s, port, socket = sim("a", "b"), ports.take(), tmp_path / "s"
    process = subprocess.Popen(
        [tools.bin_dir() / "evlb", "run", "--listen", f"127.0.0.1:{port}", "--to", str(s["a"]),
         "--to", str(s["b"])], env=tools.environment(tmp_path, {"EVLB_SOCKET": socket}),
        stderr=subprocess.PIPE, text=True)
    try:
        tools.wait_for("the status", lambda: run_evlb("ctl", "status", "--socket", socket).status
                       == 0, tools.START_SECONDS)
        answers = [tools.run(["curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{port}/"]).out
                   for _ in range(4)]
        assert sorted(answers) == ["a\n", "a\n", "b\n", "b\n"]
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=tools.STOP_SECONDS)
    assert process.returncode == 0, err


@pytest.mark.parametrize("args", [
    ("--to", "127.0.0.1:1"), ("--listen", "8080"), ("--mode=tcp",),
    ("--listen", "8080", "--to", "127.0.0.1:1", "-c", "x.yaml")])
def test_run_refuses_half_a_command_line(run_evlb, args):
    r = run_evlb("run", *args)
    assert r.status == 2 and "evlb run --help" in r.err


def test_run_refuses_an_invalid_file(run_evlb, tmp_path):
    write(tmp_path / "bad.yaml", BAD)
    r = run_evlb("run", "-c", "bad.yaml")
    assert r.status == 78 and "bad.yaml:2:10: error: " in r.err


def test_run_on_a_busy_port(run_evlb, sim, tmp_path):
    s = sim("a")
    r = run_evlb("run", "--listen", str(s["a"]), "--to", "127.0.0.1:1", "--socket", tmp_path / "s")
    assert r.status == 71 and "cannot listen on" in r.err


def test_status_of_a_running_evlb(evlb, sim, run_evlb):
    lb = evlb("listen: $port\nservers: [$a, $b]", sim("a", "b"))
    for _ in range(4):
        assert lb.get().status == 200
    r = run_evlb("ctl", "status", "--socket", lb.socket)
    assert r.status == 0 and r.err == ""
    assert r.out.startswith("evlb ") and " running, pid " in r.out.splitlines()[0]
    assert re.search(r"^default +http .* 4 +4 +0 +0$", r.out, re.M)
    assert len(re.findall(r"^default/s[12] .* up +1 +0 +2 +0$", r.out, re.M)) == 2
    assert max(len(line) for line in r.out.splitlines()) <= 80
    assert lb.status()["pid"] == lb.pid


def test_status_finds_the_socket_by_environment_and_by_file(evlb, sim, run_evlb):
    lb = evlb("listen: $port\nservers: [$a]", sim("a"))
    assert run_evlb("ctl", "status", env={"EVLB_SOCKET": lb.socket}).status == 0
    assert run_evlb("ctl", "status", "-c", lb.config_file).status == 0


def test_a_file_that_is_named_counts_more_than_the_environment(evlb, sim, run_evlb, tmp_path):
    lb = evlb("listen: $port\nservers: [$a]", sim("a"))
    elsewhere = {"EVLB_SOCKET": str(tmp_path / "elsewhere")}
    assert run_evlb("ctl", "status", "-c", lb.config_file, env=elsewhere).status == 0
    assert run_evlb("ctl", "status", env=elsewhere).status == 5
    assert run_evlb("diff", lb.config_file, env=elsewhere).status == 0
    assert run_evlb("diff", lb.config_file).status == 0
    other = tmp_path / "other.yaml"
    other.write_text(lb.config_file.read_text().replace(lb.socket, elsewhere["EVLB_SOCKET"]))
    assert run_evlb("diff", other).status == 5
    assert run_evlb("diff", "-c", lb.config_file, other).status == 1  # the -c says who is asked
    r = run_evlb("diff", "-", stdin=lb.config_file.read_text(), env={"EVLB_SOCKET": lb.socket})
    assert r.status == 0, r.err
    r = run_evlb("ctl", "status", "-c", other, "--socket", lb.socket, env=elsewhere)
    assert r.status == 0


def test_run_listens_where_its_file_says(run_evlb, tmp_path):
    """So `ctl -c` finds what `run -c` has begun, whatever the environment says."""
    there, elsewhere = tmp_path / "file.sock", {"EVLB_SOCKET": str(tmp_path / "env.sock")}
    write(tmp_path / "run.yaml", f"listen: 127.0.0.1:{ports.take()}\n"
          f"servers: [127.0.0.1:1]\nadmin: {{socket: {there}}}\n")
    process = subprocess.Popen(
        [tools.bin_dir() / "evlb", "run", "-c", tmp_path / "run.yaml"], stderr=subprocess.PIPE,
        env=tools.environment(tmp_path, elsewhere), text=True)
    try:
        tools.wait_for("the status", lambda: run_evlb(
            "ctl", "status", "-c", tmp_path / "run.yaml", env=elsewhere).status == 0,
                       tools.START_SECONDS)
        assert there.exists() and not (tmp_path / "env.sock").exists()
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=tools.STOP_SECONDS)
    assert process.returncode == 0, err


def test_status_when_nobody_answers(run_evlb, tmp_path):
    r = run_evlb("ctl", "status", "--socket", tmp_path / "nowhere")
    assert r.status == 5 and "evlb does not run there" in r.err
    assert "needs a restart" not in r.err
    config = tmp_path / "x.yaml"
    config.write_text(f"listen: 80\nservers: 10.0.0.1:80\nadmin: {{socket: {tmp_path}/no.sock}}\n")
    r = run_evlb("ctl", "reload", "-c", config)  # of a unit, after admin.socket was changed
    assert r.status == 5 and f"that is admin.socket of {config}; a change of it needs a restart" in r.err
