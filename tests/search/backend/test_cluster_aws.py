"""`cluster.yaml` on AWS, as moto imitates it: what `ray up` and the autoscaler ask it for."""

from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config

ROOT = Path(__file__).parents[3]
FAKE = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


class Template(yaml.SafeLoader):
    """Reads `!Ref X` and its like as the text X."""


Template.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))  # pyright: ignore[reportArgumentType]


def roles() -> dict[str, Any]:
    text = (ROOT / "deploy" / "aws_roles.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Template)["Resources"]


def statements(role: str) -> list[dict[str, Any]]:
    """Returns what a role allows."""
    policies = roles()[role]["Properties"]["Policies"]
    return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def test_machines_start_with_their_roles_on_spot_and_nobody_else_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray leaves a key there
    for name, value in FAKE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    with mock_aws():
        iam, ec2 = boto3.client("iam"), boto3.client("ec2")
        for resource in roles().values():
            if resource["Type"] == "AWS::IAM::InstanceProfile":
                name = resource["Properties"]["InstanceProfileName"]
                iam.create_instance_profile(InstanceProfileName=name)
        config = bootstrap_aws(prepare_config(made))
        provider = AWSNodeProvider(config["provider"], config["cluster_name"])
        for kind, each in config["available_node_types"].items():
            provider.create_node(each["node_config"], {"ray-node-name": kind}, 1)
        found = [
            machine
            for reservation in ec2.describe_instances()["Reservations"]
            for machine in reservation["Instances"]
        ]
        (group,) = found[0]["SecurityGroups"]
        (rules,) = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    head, gpu = found
    assert head["IamInstanceProfile"]["Arn"].endswith("/asharpe-head")
    assert gpu["IamInstanceProfile"]["Arn"].endswith("/asharpe-worker")
    assert (head.get("InstanceLifecycle"), gpu["InstanceLifecycle"]) == (None, "spot")
    assert gpu["SecurityGroups"] == [group]
    inside, ssh = sorted(rules["IpPermissions"], key=lambda rule: rule["IpProtocol"])
    assert [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group["GroupId"]]
    assert inside["IpRanges"] == []
    assert (ssh["FromPort"], ssh["ToPort"]) == (22, 22)


def test_workers_may_use_the_bucket_and_nothing_else() -> None:
    allowed = statements("WorkerRole")
    names = [name for each in allowed for name in each["Action"]]
    assert all(name.startswith("s3:") and "*" not in name for name in names)
    bucket = "arn:aws:s3:::${Bucket}"
    assert {each["Resource"] for each in allowed} == {bucket, f"{bucket}/*"}
    passed = [each for each in statements("HeadRole") if each["Action"] == "iam:PassRole"]
    assert [each["Resource"] for each in passed] == ["WorkerRole.Arn"]
