"""Labels are swapped on purpose, and found."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.classification.data_check import check_images
from kerascnn.classification.data_report import write_report
from kerascnn.classification.doubtful_labels import confident_errors, doubtful_labels
from kerascnn.errors import UsageError


def test_swapped_labels_are_found_with_the_right_ones():
    random = np.random.default_rng(0)
    truth = np.repeat([2, 5, 7], 60)
    features = random.normal(size=(180, 8)) + 20 * np.eye(8)[truth]
    labels, swapped = truth.copy(), np.array([3, 70, 71, 150])
    labels[swapped] = [5, 7, 2, 2]
    places, likelier = confident_errors(features, labels)
    assert sorted(places) == swapped.tolist()
    assert likelier.tolist() == truth[places].tolist()


def test_the_most_doubtful_come_first_and_what_no_class_is_sure_of_is_left():
    """On a line, classes around 0 and 10: the deeper among the others, the more doubtful."""
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 100)
    features = (random.normal(size=200) + 10 * truth)[:, None]
    labels = truth.copy()
    features[:3, 0] = 12, 11, 14
    # nearer to the others, but less so than these are on average
    features[3, 0] = 5.2
    places, likelier = confident_errors(features, labels)
    assert places.tolist() == [2, 0, 1]
    assert likelier.tolist() == [1, 1, 1]


def test_many_classes_of_few_photos_are_no_numbers_to_predict():
    """scikit-learn warns where more than half of the labels of a fold are different, and warnings are errors here."""
    labels = np.repeat(np.arange(25), 2)
    places, _ = confident_errors(np.random.default_rng(0).normal(size=(50, 4)) + 20 * labels[:, None], labels)
    assert len(places) < 50


@pytest.mark.long
def test_where_a_class_has_one_photo_labels_are_not_said_to_be_trusted(photos, caplog):
    data = kc.datasets.image_folder(photos, (32, 32), validation=0, test=0)
    few = dataclasses.replace(data, train=data.train.take(np.r_[:10, len(data.train) - 1]))
    findings = check_images(few, kc.models.resnet20((32, 32, 3), 10))
    assert "trusted" not in findings["summary"]
    assert "doubtful" not in findings
    assert "labels are not looked at: fewer than two classes have two photos or more; add photos" in caplog.text


@pytest.mark.long
def test_a_photo_alone_in_its_class_is_left_and_the_others_are_judged(photos, caplog):
    data = kc.datasets.image_folder(photos, (32, 32), validation=0, test=0).train
    more = dataclasses.replace(data, labels=np.where(np.arange(len(data)) == 3, 2, data.labels))
    places, _, judged = doubtful_labels(kc.models.resnet20((32, 32, 3), 10), [more])
    assert 3 not in places
    assert judged == 30  # of 32 files one is broken
    assert "labels of 1 photos are not looked at: each is alone in its class; add others" in caplog.text


@pytest.mark.long
def test_doubtful_labels_stand_in_findings_and_report(photos, tmp_path):
    keras.utils.set_random_seed(0)
    data = kc.datasets.image_folder(photos, (64, 64))
    image = keras.Input((32, 32, 3), name="image")
    embedding = keras.layers.AveragePooling2D(8, name="pool")(image)
    embedding = keras.layers.Flatten(name="embedding")(embedding)
    findings = check_images(data, keras.Model(image, keras.layers.Dense(2, name="logits")(embedding)))
    maps = keras.layers.AveragePooling2D(8, name="embedding")(image)
    maps = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(maps)))
    assert check_images(data, maps)["doubtful"] == findings["doubtful"]
    # classes of noise: whatever is found is told in one way
    readable = findings["summary"]["files"] - len(findings["broken"])
    assert findings["summary"]["trusted"] == 1 - len(findings["doubtful"]) / readable
    assert findings["doubtful"], "a head without its labels is wrong on some of 31 photos of noise"
    each = findings["doubtful"][0]
    assert {each["class"], each["likelier"]} == {"cat", "dog"}
    assert each["file"] not in findings["broken"]
    write_report(findings, "cats & dogs", tmp_path)
    page = (tmp_path / "check.html").read_text()
    assert f"<h2>Doubtful labels: {len(findings['doubtful'])}</h2>" in page
    assert f"<br>{each['class']}, or {each['likelier']}?</figcaption>" in page


def test_a_network_for_other_inputs_is_an_error(photos):
    data = kc.datasets.image_folder(photos, (64, 64))
    with pytest.raises(
        UsageError,
        match=r"^backbone lenet5 takes \(None, 28, 28, 1\), and not images \(B, H, W, 3\); name a net",
    ):
        doubtful_labels(kc.models.lenet5(), [data.train])
    vector = keras.Input((7,))
    network = keras.Model(vector, keras.layers.Dense(2)(vector), name="of_vectors")
    with pytest.raises(
        UsageError, match=r"^backbone of_vectors takes \(None, 7\), and not images \(B, H, W, 3\); name"
    ):
        doubtful_labels(network, [data.train])


def test_a_class_of_which_no_photo_decodes_is_left(photos):
    data = kc.datasets.image_folder(photos, (32, 32), validation=0, test=0).train
    broken = [name.endswith("broken.png") for name in data.names]
    last = dataclasses.replace(data, labels=np.where(broken, 2, data.labels))
    places, *_ = doubtful_labels(kc.models.resnet20((32, 32, 3), 10), [last])
    assert set(places) <= set(np.flatnonzero(~np.array(broken)))
