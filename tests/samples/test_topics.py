from pydoc_data.topics import topics

from regard.samples.topics import python_topics


def test_every_topic_is_a_document_in_the_order_of_its_name():
    documents = python_topics()
    assert len(documents) == len(topics) > 50
    assert [document.strip() for document in documents] == [topics[name].strip() for name in sorted(topics)]
    assert all(document.endswith("\n") and document[0] != "\n" for document in documents)


def test_there_is_enough_to_learn_from():
    assert sum(map(len, python_topics())) > 300_000
