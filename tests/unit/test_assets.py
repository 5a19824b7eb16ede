"""Asset URIs: normal form, factories and OpenLineage names."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from airflow.sdk import Asset

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.assets import convert_to_openlineage
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.provider_info import get_provider_info

DATASET = "amigocloud://app.amigocloud.com/projects/1234/datasets/2001"


@pytest.mark.parametrize(
    "form",
    [
        DATASET,
        f"{DATASET}/",
        "amigocloud://App.AmigoCloud.com:443/projects/1234/datasets/2001",
        "amigocloud://app.amigocloud.com/users/123/projects/1234/datasets/2001",
        "amigocloud://app.amigocloud.com/api/v1/organizations/7/projects/1234/datasets/2001/",
        "AmigoCloud://app.amigocloud.com/projects/1234/datasets/2001#top",
    ],
)
def test_all_forms_of_a_dataset_uri_are_one_asset(form):
    assert Asset(uri=form, name="x").uri == DATASET


@pytest.mark.parametrize(
    ("asset", "uri"),
    [
        (AmigoCloudHook.asset(project=1234, dataset="2001"), DATASET),
        (AmigoCloudHook.asset(project=1234), "amigocloud://app.amigocloud.com/projects/1234"),
        (
            AmigoCloudHook.asset(project=1, host="http://127.0.0.1:8900/amigocloud/api/v1"),
            "amigocloud://127.0.0.1:8900/projects/1",
        ),
        (
            MapsIndoorsHook.asset(solution="57e4e4992e74800ef8b69718", geodata="a b"),
            "mapsindoors://integration.mapsindoors.com/solutions/57e4e4992e74800ef8b69718/geodata/a%20b",
        ),
        (IoTStudioHook.asset(space="s"), "iotstudio://api.swx.altairone.com/spaces/s"),
        (
            IoTStudioHook.asset(space="s", thing_id="01GQ"),
            "iotstudio://api.swx.altairone.com/spaces/s/things/01GQ",
        ),
        (
            IoTStudioHook.asset(space="s", category="Room/A"),
            "iotstudio://api.swx.altairone.com/spaces/s/categories/Room%2FA",
        ),
        (
            LeanIXHook.asset(host="https://Acme.leanix.net", connector_type="cmdb", connector_id="one"),
            "leanix://acme.leanix.net/connectors/cmdb/one",
        ),
        (LeanIXHook.asset(host="acme.leanix.net"), "leanix://acme.leanix.net/factsheets"),
    ],
)
def test_a_factory_returns_the_normal_form(asset, uri):
    assert (asset.name, asset.uri) == (uri, uri)
    assert asset.group == uri.partition(":")[0]
    assert Asset(uri=uri, name="x").uri == uri


@pytest.mark.parametrize(
    ("uri", "form"),
    [
        ("amigocloud:///projects/1", "projects/<id>"),
        ("amigocloud://host/projects/one", "projects/<id>"),
        ("amigocloud://host/datasets/1", "projects/<id>"),
        ("amigocloud://host/projects/1?token=secret", "projects/<id>"),
        ("mapsindoors://host", "solutions/<id>"),
        ("iotstudio://host/things/1", "spaces/<id>"),
        ("leanix://host/connectors/one", "connectors/<type>/<id>"),
    ],
)
def test_an_invalid_uri_is_refused_with_the_expected_form(uri, form):
    with pytest.raises(ValueError, match=form) as caught:
        Asset(uri=uri, name="x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AmigoCloudHook.asset(project=1234, dataset=""),
        lambda: MapsIndoorsHook.asset(solution="a", geodata=" "),
        lambda: IoTStudioHook.asset(space=None),
        lambda: IoTStudioHook.asset(space="a", thing_id="", category="b"),
        lambda: LeanIXHook.asset(host="a.leanix.net", connector_type="report"),
        lambda: LeanIXHook.asset(host="a.leanix.net", connector_id="landscape"),
        lambda: LeanIXHook.asset(host="a.leanix.net", factsheets=""),
        lambda: LeanIXHook.asset(host=None, factsheets="Application"),
        lambda: LeanIXHook.asset(
            host="a.leanix.net", connector_type="a", connector_id="b", factsheets="Application"
        ),
    ],
)
def test_a_missing_part_does_not_widen_an_asset(make):
    with pytest.raises(ValueError, match=r"an asset of \w+ is .*(is empty or None|not both)"):
        make()


def test_a_password_is_dropped_from_a_uri():
    with pytest.warns(UserWarning, match="password"):
        assert Asset(uri=DATASET.replace("app.", "me:secret@app."), name="x").uri == DATASET


def test_naming_an_asset_reads_no_connection(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", json.dumps({"conn_type": "nonsense"}))
    assert AmigoCloudHook.asset(project=1)


def test_airflow_knows_all_four_schemes():
    entries = get_provider_info()["asset-uris"]
    assert [scheme for entry in entries for scheme in entry["schemes"]] == [
        "mapsindoors",
        "amigocloud",
        "iotstudio",
        "leanix",
    ]
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert {"mapsindoors", "amigocloud", "iotstudio", "leanix"} <= set(manager.asset_factories)
    made = manager.asset_factories["amigocloud"](project=1, dataset=2, extra={"by": "test"})
    assert made.extra == {"by": "test"}


def test_openlineage_gets_the_same_names(monkeypatch):
    module = ModuleType("openlineage.client.event_v2")
    module.Dataset = SimpleNamespace
    for name in ("openlineage", "openlineage.client"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = convert_to_openlineage(AmigoCloudHook.asset(project=1234, dataset=2001), None)
    assert (found.namespace, found.name) == (
        "amigocloud://app.amigocloud.com",
        "projects/1234/datasets/2001",
    )
