"""Who may call: what the services of a real cluster answer to each token."""

import pytest

from support.cluster_calls import calling, token_of
from support.cluster_digits import evaluation
from support.cluster_installed import Release

NOBODY, NOT_YOURS = "UNAUTHENTICATED", "PERMISSION_DENIED"


@pytest.fixture(scope="module")
def run_id(platform, digits):
    """A run that is there."""
    platform.submit("spoken-of", evaluation(digits.base, "Digits20"))
    platform.wait("spoken-of")
    return platform.run_id("spoken-of")


@pytest.fixture(scope="module")
def scope(platform):
    """What the audience of the platform's own callers names."""
    return f"{platform.namespace.name}/{platform.name}"


@pytest.fixture
def call(platform):
    with calling(platform) as made:
        yield made


def test_no_token_and_tokens_for_somebody_else_prove_nobody(platform, call, scope):
    real = token_of(platform, "cli", scope)
    assert call("List", real) == "OK"
    assert call("List", None) == NOBODY
    assert call("List", real[:-4] + "AAAA") == NOBODY
    assert call("List", token_of(platform, "cli", None)) == NOBODY
    assert call("List", token_of(platform, "cli", "elsewhere/demo")) == NOBODY


def test_an_audience_is_worth_nothing_without_the_account(platform, call, scope):
    words = ("create", "token", "default")
    for role in ("cli", "controller"):
        audience = f"--audience=assay/{scope}/{role}"
        forged = platform.namespace.kubectl(*words, audience).strip()
        assert call("List", forged) == NOBODY
    audience = f"--audience=assay/{scope}/controller"
    account = f"{platform.name}-assay-cli"
    forged = platform.namespace.kubectl("create", "token", account, audience).strip()
    assert call("List", forged) == NOBODY


def test_a_pod_of_a_run_speaks_of_its_own_run_alone(platform, call, run_id):
    infer = token_of(platform, "infer", run_id)
    lease = {"queue": "digits-svm", "worker_id": "w#1", "capacity": 1}
    assert call("Lease", infer, run_id=run_id, **lease) == "OK"
    assert call("Lease", infer, run_id="another-12345678", **lease) == NOT_YOURS
    assert call("Get", infer, run_id=run_id) == NOT_YOURS
    scorer = token_of(platform, "scorer", run_id)
    assert call("Lease", scorer, run_id=run_id, **lease) == NOT_YOURS


def test_a_command_line_reads_and_the_controller_rules(platform, call, scope, run_id):
    line, controller = (token_of(platform, r, scope) for r in ("cli", "controller"))
    assert call("Get", line, run_id=run_id) == "OK"
    assert call("Finish", line, run_id=run_id) == NOT_YOURS
    assert call("Finish", controller, run_id=run_id) == "OK"
    with calling(platform, "dataset") as ask:
        assert ask("Datasets", controller) == "OK"
        assert ask("Datasets", token_of(platform, "infer", run_id)) == NOT_YOURS
        assert ask("Datasets", None) == NOBODY


@pytest.fixture(scope="module")
def second(platform):
    """Another release in the same namespace."""
    made = Release(platform.namespace, "second")
    made.install()
    yield made
    made.helm("uninstall")


def test_two_releases_share_the_definition_and_nothing_else(
    platform, second, digits, here
):
    assert platform.objects() & second.objects() == set()
    second.submit("theirs", evaluation(digits.base, "Digits20"))
    second.wait("theirs")
    theirs = second.run_id("theirs")
    assert second.results(theirs) == here.results("Digits20")
    assert platform.results(theirs) == {}
    owners = {
        second.pods(part)[0]["metadata"]["name"]
        for part in ("controller", "aggregator")
    }
    assert all(name.startswith("second-assay-") for name in owners)


def test_a_token_of_one_release_proves_nobody_to_the_other(
    platform, second, call, scope
):
    own = f"{second.namespace.name}/{second.name}"
    for role in ("cli", "controller"):
        token = token_of(second, role, own)
        assert call("List", token) == NOBODY
        assert call("List", token_of(second, role, scope)) == NOBODY
        with calling(second) as theirs:
            assert theirs("List", token) == "OK"
            assert theirs("List", token_of(platform, role, scope)) == NOBODY
